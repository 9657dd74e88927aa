"""Numbers from and to the asker: raw float32 or int32 files."""
import numpy
import torch


def load(path, shape, kind=numpy.float32):
    return torch.from_numpy(numpy.fromfile(path, dtype=kind).reshape(shape))


def save(path, tensor):
    tensor.detach().contiguous().numpy().tofile(path)
    return path


