/*
 * Preloaded into user-mode Linux: sets a process's extended state whole.
 *
 * The kernel takes nothing shorter than all of it, and UML 6.1 knows the 2,696 bytes up to AVX-512: where the processor
 * has more (AMX), each process of the guest would end as it begins.  What is behind UML's part is what the process has.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

long ptrace(enum __ptrace_request request, ...)
{
    static long (*next)(enum __ptrace_request, pid_t, void *, void *);
    static unsigned char whole[1 << 16] __attribute__((aligned(64)));
    va_list list;
    va_start(list, request);
    pid_t pid = va_arg(list, pid_t);
    void *addr = va_arg(list, void *);
    void *data = va_arg(list, void *);
    va_end(list);
    if (!next)
        next = (long (*)(enum __ptrace_request, pid_t, void *, void *))dlsym(RTLD_NEXT, "ptrace");
    if (request == PTRACE_SETREGSET && (unsigned long)addr == NT_X86_XSTATE) {
        struct iovec *part = data, all = { whole, sizeof whole };
        if (next(PTRACE_GETREGSET, pid, addr, &all))
            return -1;
        if (part->iov_len < all.iov_len) {
            memcpy(whole, part->iov_base, part->iov_len);
            return next(request, pid, addr, &all);
        }
    }
    return next(request, pid, addr, data);
}
