"""Matrix products in PyTorch (oneDNN or MKL underneath)."""
import torch


def gemm(request):
    M, N, K = request["M"], request["N"], request["K"]
    a = torch.randn(K, M).t() if request["transA"] else torch.randn(M, K)
    b = torch.randn(N, K).t() if request["transB"] else torch.randn(K, N)
    c = torch.empty(M, N)
    return lambda: torch.mm(a, b, out=c), {}


def batched(request):
    n, M, N, K = request["batches"], request["M"], request["N"], request["K"]
    a, b, c = torch.randn(n, M, K), torch.randn(n, K, N), torch.empty(n, M, N)
    return lambda: torch.bmm(a, b, out=c), {}


CASES = {"gemm": gemm, "batched": batched}
