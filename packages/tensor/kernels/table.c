/* The kernels of one instruction set, by number. */
#include "quasar.h"
#define X(name) KERNEL(name);
#include "kernels.def"
#undef X
#define X(name) Q_JOIN(name, Q_ISA),
const kernel_fn Q_JOIN(kernel_table, Q_ISA)[] = {
#include "kernels.def"
};
