/*
 * What the tests of the model share: the model's own code, and this machine's components with areas for them.
 *
 * Between loading registers and saving them no instruction may use a vector register: whoever includes this is
 * compiled without them, and with the kernel's own string functions.
 */
#ifndef SOFT_MACHINE_H
#define SOFT_MACHINE_H

#include "host.h"

#include <sys/syscall.h>
#include <unistd.h>

#pragma GCC target("general-regs-only")
#define memcpy kernel_memcpy
#define memmove kernel_memmove
#define memset kernel_memset
#define memcmp kernel_memcmp
#define strlen kernel_strlen
#define strnlen kernel_strnlen
#define strcmp kernel_strcmp
#define strncmp kernel_strncmp

#include "fpu/insn.h"
#include "fpu/amx_ops.c"
#include "fpu/soft.c"
#include "fpu/soft_supervisor.c"
#include "fpu/soft_tiles.c"
#include "fpu/xstate.c"
#include "kernel/string.c"

#define ARCH_REQ_XCOMP_PERM 0x1023
#define MAX_AREA 16384

static struct xstate_layout layout;
static u64 features; /* the components that are compared */

static struct xsave_area *new_area(void)
{
	struct xsave_area *area = aligned_alloc(XSAVE_ALIGN, MAX_AREA);

	assert_non_null(area);
	memset(area, 0, MAX_AREA);
	return area;
}

/* False if the machine has no XSAVE. Tiles need the kernel's permission; BNDCSR takes no random value. */
static bool find_components(void)
{
	if (!(cpuid(1, 0).ecx & BIT(27)))
		return false;
	xstate_probe(&layout, cpuid);
	features = xgetbv(0) & layout.user & ~XFM_BOUND;
	if (features & XFM(XF_TILEDATA) && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XF_TILEDATA))
		features &= ~XFM_TILES;
	assert_true(xstate_standard_size(&layout, features) <= MAX_AREA);
	return true;
}

#endif
