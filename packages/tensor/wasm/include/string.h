/* WebAssembly without a C library: memory.copy and memory.fill do the work. */
#ifndef STRING_H
#define STRING_H
#include <stddef.h>
#define memcpy __builtin_memcpy
#define memmove __builtin_memmove
#define memset __builtin_memset
#endif
