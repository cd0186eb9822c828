/* The FPU's part of the signal frame; see frame.h. User memory never decides about supervisor components. */
#include "fpu/cpu.h"
#include "fpu/frame.h"
#include "fpu/image.h"
#include "fpu/insn.h"
#include "fpu/setup.h"
#include "fpu/standard.h"
#include "kernel/errno.h"
#include "kernel/string.h"
#include "kernel/uaccess.h"

#define MAGIC1 0x46505853u
#define MAGIC2 0x46505845u
/* si_code of SIGFPE */
enum { FPE_ZERO_DIVIDE = 3, FPE_OVERFLOW, FPE_UNDERFLOW, FPE_INEXACT, FPE_INVALID };

#define DESCRIPTOR_OFFSET 464

/* struct _fpx_sw_bytes: the 48 bytes that tell handlers and other machines what the frame holds. */
struct descriptor {
	u32 magic1, extended_size;
	u64 xfeatures;
	u32 xstate_size, zero[7];
};
_Static_assert(DESCRIPTOR_OFFSET + sizeof(struct descriptor) == XSAVE_LEGACY_SIZE, "Linux's layout");

u32 fpu_frame_size(u64 features)
{
	return xstate_standard_size(&fpu_config.layout, features) + (u32)sizeof(u32);
}

u32 fpu_frame_size_of(const struct fpu_task *task)
{
	return fpu_has_registers(task) ? fpu_standard_size_of(task) + (u32)sizeof(u32) : 0;
}

static struct descriptor *descriptor_of(void *image)
{
	return (struct descriptor *)((u8 *)image + DESCRIPTOR_OFFSET);
}

/* Linux names x87 and SSE whether or not they are initial, for programs that look at nothing else. */
void *fpu_frame_make(struct fpu_task *task)
{
	u32 whole = fpu_frame_size_of(task), size = whole - (u32)sizeof(u32), magic2 = MAGIC2;
	struct xsave_area *image = fpu_area_alloc(whole);

	if (!image)
		return NULL;
	fpu_standard_read_own(task, image, FPU_EV_SIGNAL_FRAME);
	image->xstate_bv |= XFM_LEGACY;
	*descriptor_of(image) = (struct descriptor){
		.magic1 = MAGIC1, .extended_size = whole, .xfeatures = fpu_standard_features(task), .xstate_size = size,
	};
	memcpy((u8 *)image + size, &magic2, sizeof(magic2));
	return image;
}

void fpu_frame_free(void *image)
{
	fpu_area_free(image);
}

/* Those of components that the image has beyond the header; what lies between them is the program's own. */
static long copy_components(u64 address, struct xsave_area *image, u64 components, bool to_user)
{
	for (components &= ~XFM_LEGACY; components; components &= components - 1) {
		const struct xstate_component *c = &fpu_config.layout.component[__builtin_ctzl(components)];
		u8 *bytes = (u8 *)image + c->offset;

		if (to_user ? copy_to_user(address + c->offset, bytes, c->size)
			    : copy_from_user(bytes, address + c->offset, c->size))
			return -EFAULT;
	}
	return 0;
}

long fpu_frame_write(u64 address, void *image)
{
	const struct descriptor *descriptor = descriptor_of(image);
	u32 size = descriptor->xstate_size;

	if (copy_to_user(address, image, XSAVE_EXTENDED) ||
	    copy_to_user(address + size, (u8 *)image + size, sizeof(u32)))
		return -EFAULT;
	return copy_components(address, image, descriptor->xfeatures, true);
}

/* True if the frame says, at both ends, that it is extended: size and components are what it says then. */
static bool extended(u64 address, const struct descriptor *descriptor)
{
	u32 magic2, size = descriptor->xstate_size, most = fpu_frame_size_of(fpu_current()) - (u32)sizeof(magic2);

	if (descriptor->magic1 != MAGIC1 || size < XSAVE_EXTENDED || size > most || size > descriptor->extended_size)
		return false;
	return !copy_from_user(&magic2, address + size, sizeof(magic2)) && magic2 == MAGIC2;
}

/* The components that lie within size bytes. */
static u64 features_within(u32 size)
{
	u64 features = XFM_LEGACY;

	for (u64 rest = fpu_config.xcr0 & ~XFM_LEGACY; rest; rest &= rest - 1) {
		const struct xstate_component *c = &fpu_config.layout.component[__builtin_ctzl(rest)];

		if (c->offset + c->size <= size)
			features |= rest & -rest;
	}
	return features;
}

static long read_image(u64 address, struct xsave_area *image)
{
	struct descriptor descriptor;
	u64 features = XFM_LEGACY;
	long error;

	if (copy_from_user(image, address, XSAVE_LEGACY_SIZE))
		return -EFAULT;
	descriptor = *descriptor_of(image);
	if (extended(address, &descriptor)) {
		if (copy_from_user(&image->xstate_bv, address + XSAVE_LEGACY_SIZE,
				   XSAVE_EXTENDED - XSAVE_LEGACY_SIZE))
			return -EFAULT;
		features = descriptor.xfeatures & features_within(descriptor.xstate_size);
	} else {
		image->xstate_bv = XFM_LEGACY;
	}
	error = fpu_standard_check(image, fpu_config.xcr0);
	image->xstate_bv &= features;
	return error ? error : copy_components(address, image, image->xstate_bv, false);
}

long fpu_frame_read(u64 address, void **image)
{
	struct xsave_area *copy;
	long error;

	if (address % XSAVE_ALIGN)
		return -EFAULT;
	copy = fpu_area_alloc(fpu_standard_size());
	if (!copy)
		return -ENOMEM;
	memset(&copy->xstate_bv, 0, XSAVE_EXTENDED - XSAVE_LEGACY_SIZE);
	error = read_image(address, copy);
	if (error)
		fpu_area_free(copy);
	else
		*image = copy;
	return error;
}

void fpu_frame_handler(struct fpu_task *task)
{
	fpu_init_state(task, PKRU_DEFAULT, FPU_EV_HANDLER);
	task->user.in_frame = false;
}

void fpu_frame_return(struct fpu_task *task, const void *image, u32 pkru)
{
	if (image)
		fpu_standard_write(task, image, fpu_config.xcr0, FPU_EV_SIGRETURN);
	else
		fpu_init_state(task, fpu_has_registers(task) ? PKRU_DEFAULT : pkru, FPU_EV_SIGRETURN);
	task->user.in_frame = false;
}

/* The running task's rights are in the register alone; a switch takes them along, and would publish these. */
u32 fpu_frame_open_keys(struct fpu_task *task)
{
	u32 keys = fpu_frame_keys();

	task->user.in_frame = true;
	if (fpu_config.pku)
		wrpkru(0);
	return keys;
}

void fpu_frame_close_keys(struct fpu_task *task, u32 keys)
{
	task->active->pkru = keys;
	if (fpu_config.pku)
		wrpkru(keys);
	__atomic_store_n(&task->user.in_frame, false, __ATOMIC_RELEASE);
}

bool fpu_published_keys(const struct fpu_task *task, u32 *keys)
{
	if (task != fpu_current() && __atomic_load_n(&task->user.in_frame, __ATOMIC_ACQUIRE))
		return false;
	*keys = !fpu_config.pku ? 0 : task == fpu_current() ? rdpkru() : task->user.pkru;
	return true;
}

u32 fpu_frame_keys(void)
{
	return fpu_config.pku ? rdpkru() : 0;
}

/* The exception flags that are not masked; the lowest decides, as on Linux. */
static int code_of(u32 raised)
{
	if (raised & 0x01)
		return FPE_INVALID;
	if (raised & 0x04)
		return FPE_ZERO_DIVIDE;
	if (raised & 0x08)
		return FPE_OVERFLOW;
	if (raised & 0x12)
		return FPE_UNDERFLOW;
	return raised & 0x20 ? FPE_INEXACT : 0;
}

int fpu_frame_fault_code(struct fpu_task *task, bool simd)
{
	struct xsave_area *image = fpu_has_registers(task) ? fpu_frame_make(task) : NULL;
	int code;

	if (!image)
		return 0;
	code = code_of(simd ? image->mxcsr & ~(image->mxcsr >> 7) : (u32)image->fsw & ~(u32)image->fcw);
	fpu_frame_free(image);
	return code;
}
