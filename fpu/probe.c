/*
 * The question behind `xstate=auto`. CPUID alone is no answer: emulators have been seen that report XSAVES
 * when asked to and then raise #UD, or do nothing at all. So a save goes into a poisoned buffer, which must
 * change in just the right places, and a restore must bring a value back.
 */
#include "fpu/insn.h"
#include "fpu/probe.h"
#include "kernel/string.h"

#define POISON 0xa5
#define POISON_QWORD 0xa5a5a5a5a5a5a5a5ul
#define FCW_PROBE 0x27f /* 53-bit precision: makes x87 state differ from its initial one */

static bool save_wrote(const struct xsave_area *area)
{
	return area->xstate_bv == XFM(XF_X87) && area->xcomp_bv == (XCOMP_COMPACTED | XFM(XF_X87)) &&
	       area->fcw == FCW_PROBE && area->header_reserved[0] == POISON_QWORD;
}

bool xsaves_works(const struct xstate_layout *layout, struct xsave_area *area)
{
	bool works;

	if (!layout->xsaves)
		return false;
	memset(area, POISON, XSAVE_EXTENDED);
	fninit();
	fldcw(FCW_PROBE);
	works = !try_xsaves64(area, XFM(XF_X87)) && save_wrote(area);
	fninit();
	if (!works)
		return false;
	memset(area->header_reserved, 0, sizeof(area->header_reserved));
	works = !xrstors64(area, XFM(XF_X87)) && fnstcw() == FCW_PROBE;
	fninit();
	return works;
}
