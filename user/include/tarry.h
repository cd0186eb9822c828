/*
 * tarry.h - the calls that are Tarry's own: their numbers, the message of the IPC, the
 * counters of the stats call and the commands of the debug call.
 *
 * Shared by the kernel and by user programs, so it holds numbers and layouts and nothing
 * else: no functions, no types but the fixed-width ones. It must never repeat a number
 * that Linux's ABI already defines.
 */
#ifndef TARRY_H
#define TARRY_H

#include <stdint.h>

/* System-call numbers, above everything Linux uses. */
#define TARRY_SYS_FIRST			0x1000
#define TARRY_SYS_IPC_CALL		0x1000
#define TARRY_SYS_IPC_REPLY_WAIT	0x1001
#define TARRY_SYS_STATS			0x1002
#define TARRY_SYS_DEBUG			0x1003
#define TARRY_SYS_CRYPT			0x1004
#define TARRY_SYS_UPDATE		0x1005
#define TARRY_SYS_PASID_BIND		0x1006
#define TARRY_SYS_VCPU_CREATE		0x1008
#define TARRY_SYS_VCPU_RUN		0x1009
#define TARRY_SYS_VCPU_EXIT_INFO	0x100a
#define TARRY_SYS_VCPU_MEMORY		0x100b
#define TARRY_SYS_VCPU_SET_FPU		0x100c
#define TARRY_SYS_VCPU_GET_FPU		0x100d
#define TARRY_SYS_END			0x100e	/* one past the last */

/* An IPC message travels in rsi, rdx, r10, r8, r9, in this order, both ways. */
#define TARRY_IPC_WORDS			5

/*
 * Counters, all since boot unless said otherwise. New members go at the end: the stats
 * call copies as much as fits into the size its caller gives.
 */
struct tarry_stats {
	uint64_t free_pages;		/* now, in 4 KiB pages */
	uint64_t total_pages;		/* usable pages found at boot */
	uint64_t tasks;			/* now, user tasks that are not yet reaped */
	uint64_t context_switches;
	uint64_t ticks;			/* timer interrupts */
	uint64_t page_faults;		/* from user addresses, resolved or not */
	uint64_t syscalls_missing;	/* calls answered with ENOSYS */
	uint64_t heap_pages;		/* now, pages the kernel's small-object heap holds */
	uint64_t boot_insns;		/* TSC from first kernel to first user instruction */
	uint64_t uptime_ns;
	uint64_t idle_ticks;		/* ticks that found nothing to run */
	uint64_t fpu_saves, fpu_loads, fpu_loads_avoided, fpu_init_loads;
	uint64_t fpu_bytes_saved, fpu_bytes_loaded;
	uint64_t fpu_sections, fpu_sections_again;	/* kernel FPU sections; those that cost nothing */
	uint64_t fpu_traps;		/* lazy policy: #NM */
	uint64_t model_ticks;		/* TSC ticks inside the model of XSAVES and XRSTORS */
	uint64_t entropy_samples;	/* moments of interrupts that went into the pool */
	uint64_t entropy_vector;	/* times an interrupt mixed the pool in an FPU section... */
	uint64_t entropy_scalar;	/* ... and without one, since it found the FPU in use */
	uint64_t packets_sealed;
	uint64_t trace_ticks;		/* TSC ticks inside the trace */
	uint64_t policy;		/* TARRY_POLICY_... */
	uint64_t keep_registers;	/* integer-only programs: 0 intonly=init, 1 intonly=ts */
	uint64_t cpus;			/* now, CPUs that are online; the other counters are sums over all */
	uint64_t heap_objects;		/* now, what the kernel has allocated and not freed, of any size */
	/* Updates of one component: where the value before was (initial: in neither of the two)... */
	uint64_t fpu_updates_registers, fpu_updates_memory, fpu_updates_initial;
	/* ... and what became of the new one: left for the next load, loaded alone, its own instruction, queued */
	uint64_t fpu_updates_flagged, fpu_updates_loaded, fpu_updates_direct, fpu_updates_queued;
	uint64_t pasid_populated;	/* threads that got their process's PASID, each at its first #GP */
	uint64_t pasid_strays;		/* commands that reached the device with a PASID that was nobody's */
	char fpbuf[8];			/* what kind of buffers large fpstates have (fpbuf=) */
	/* Large fpstates: now, how many, and bytes in them and in what is kept for them; bytes copied, INVLPGs */
	uint64_t buffers, buffer_bytes, buffer_bytes_copied, invlpgs;
	/* ... times other CPUs were told to forget a mapping, messages for that, and those taken */
	uint64_t shootdowns, shootdowns_sent, shootdowns_taken;
};

#define TARRY_POLICY_DEFERRED		0
#define TARRY_POLICY_EAGER		1
#define TARRY_POLICY_LAZY		2

/*
 * crypt(struct tarry_crypt *): seals one packet `packets` times with ChaCha20-Poly1305 (RFC 8439),
 * each time in a kernel FPU section of its own. The nonce's last 32 bits, little endian, go up by
 * one from packet to packet. 0, or EINVAL, EFAULT, ENOMEM, EINTR.
 */
#define TARRY_CRYPT_WORKER		1	/* a kernel thread does it, the caller sleeps */
#define TARRY_CRYPT_SCALAR		2	/* in general registers, without FPU sections */
#define TARRY_CRYPT_MAX_PACKETS		(1u << 20)
#define TARRY_CRYPT_MAX_SIZE		8192u
#define TARRY_CRYPT_MAX_AAD		64u

struct tarry_crypt {
	uint64_t input, output;		/* the packet; the last one sealed, or 0 */
	uint64_t aad;			/* what is authenticated only */
	uint32_t size, aad_size;	/* bytes at input and output, and at aad */
	uint32_t packets, flags;
	uint8_t key[32], nonce[12];
	uint8_t tags[16];		/* result: all tags XORed together */
};

/*
 * update(struct tarry_update *): gives one component of a task's extended state a value, all of it at once. 0 if the
 * task has it; TARRY_UPDATE_QUEUED if it runs, or may at any time: it takes the value on its way to user mode, and of
 * several queued for one component the last. ESRCH: no such task. EINVAL: no such component here, or x87 or SSE;
 * another size than its own (CPUID.(0Dh,component):EAX; PASID 8, CET_U 16); a value with reserved bits; of an
 * integer-only task any but PKRU.
 * EPERM: PASID and CET_U are the kernel's to set, and a program may play the kernel only with `debug` on the command
 * line. EBUSY: nobody can look at a task that runs. EFAULT, ENOMEM.
 */
#define TARRY_UPDATE_QUEUED		1

struct tarry_update {
	int32_t tid;			/* 0: the caller */
	uint32_t component, size;	/* its number in XCR0 or IA32_XSS, its bytes */
	uint32_t zero;
	uint64_t value;			/* where the new value is; 0: nothing is changed */
	uint64_t old;			/* where the one before goes, unless queued; or 0 */
};

/*
 * pasid_bind(): gives the process a PASID, which ENQCMD passes to a modelled device, and maps the device's portal:
 * its address, the same each time. ENQCMD to any place there submits a command; ZF: the queue is full, try again.
 * What can be read there is what the device has got with this PASID (struct tarry_portal); an ordinary store is a
 * page fault. A child has no PASID until it binds itself, nor has a new program. ENODEV: there is no PASID
 * (xstate=native). EINVAL: an integer-only program has no place for it. ENOMEM. Numbers and layouts below are those
 * of Intel's DSA.
 */
#define TARRY_WQ_ENTRIES		16u	/* commands until the queue is full for some milliseconds */

struct tarry_portal {
	uint32_t pasid, zero;
	uint64_t commands, errors;	/* accepted; of these in vain */
	uint64_t retries;
};

struct tarry_descriptor {
	uint32_t pasid;			/* 0: ENQCMD puts it in */
	uint32_t operation;		/* flags, and the opcode from bit TARRY_WQ_OPCODE on */
	uint64_t completion;		/* the completion record's address, if the flags say so; aligned to 32 */
	uint64_t reserved[6];
};

#define TARRY_WQ_OPCODE			24
#define TARRY_WQ_NOOP			0u	/* the only one */
#define TARRY_WQ_ADDRESS_VALID		4u	/* flags: a record is written on errors... */
#define TARRY_WQ_REPORT			8u	/* ... and on success, too */

struct tarry_completion {
	uint8_t status, zero[31];
};

#define TARRY_WQ_SUCCESS		0x01
#define TARRY_WQ_BAD_OPCODE		0x10
#define TARRY_WQ_BAD_FLAGS		0x11
#define TARRY_WQ_BAD_RESERVED		0x12

/*
 * A guest: code that runs in ring 3 in an address space and with registers of its own, in place of the task that calls
 * vcpu_run, until something ends the run. Nothing it does reaches its owner: each of its system calls is a hypercall,
 * each of its faults an exit.
 *
 * vcpu_create(): a descriptor, closed on exec, whose last close deletes the guest. EMFILE, ENOMEM. Of all calls on it:
 * EBADF; EINVAL: not a guest's; EPERM: a child has the descriptor by fork, the guest is its maker's; EBUSY: another
 * thread has it in hand; EFAULT.
 *
 * vcpu_run(fd, struct tarry_vcpu_regs *, budget): the guest starts with these registers, or (NULL) goes on with those
 * it has. Of RFLAGS only what user code may set counts; segments are flat, with these bases (EINVAL: not canonical). The
 * run ends after `budget` timer interrupts in guest code, 0: no limit. Returns why it ended, TARRY_VCPU_..., once the
 * owner's registers are its own again. ENOMEM: no memory for a page of the guest's; it may be run again.
 *
 * vcpu_exit_info(fd, struct tarry_vcpu_exit *): the last exit.
 */
#define TARRY_VCPU_HYPERCALL		1	/* SYSCALL or INT 0x80; RIP is behind it, the number in RAX */
#define TARRY_VCPU_FAULT		2	/* an exception; RIP is where the manual says */
#define TARRY_VCPU_BUDGET		3
#define TARRY_VCPU_INTERRUPTED		4	/* the owner has a signal to take, or something else to see to */

/* Hypercalls that the kernel answers itself, in RAX; the guest goes on at once. Argument in RDI. */
#define TARRY_HYPER_CLOCK		0x2000	/* ns since boot */
#define TARRY_HYPER_RESUMED		0x2001	/* how often the kernel has let it go on in this run */
#define TARRY_HYPER_XFD			0x2002	/* sets its IA32_XFD; ENODEV: no such component */
#define TARRY_HYPER_INIT		0x2003	/* makes these components initial */
#define TARRY_HYPER_END			0x2004

struct tarry_vcpu_regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t rip, rflags, rsp, fs_base, gs_base;
};

struct tarry_vcpu_exit {
	uint32_t reason;		/* 0: it has not run, or vcpu_run failed */
	uint32_t vector;		/* fault: 14 #PF and so on, with... */
	uint64_t error, address;	/* ... error code and, #PF, address; else 0 */
	uint64_t xfd_err;		/* #NM: what XFD disabled; 0: another reason */
	uint64_t resumed;		/* how often the kernel let it go on */
	struct tarry_vcpu_regs regs;
};

/*
 * vcpu_memory(fd, struct tarry_vcpu_memory *): gives the guest memory, in place of what was there. `source` is copied,
 * but a mapping of the owner's that is shared (MAP_SHARED) is shared with the guest, too; 0: zeroes. EINVAL: not whole
 * pages, outside user space, larger than TARRY_VCPU_MEMORY_MAX, no such rights or key. ENOMEM.
 */
#define TARRY_VCPU_MEMORY_MAX		(64ul << 20)

struct tarry_vcpu_memory {
	uint64_t address, size, source;
	uint32_t prot, key;		/* PROT_..., protection key */
};

/*
 * vcpu_set_fpu(fd, struct tarry_vcpu_fpu *): first the components of `init` become initial, then XFD is set (EINVAL:
 * a component that has none), then comes the image, in XSAVE's standard format (EINVAL: wrong size, or not loadable): a
 * component that XFD disables is passed over. vcpu_get_fpu: fills in xfd and size, and the image if `size` was enough.
 */
struct tarry_vcpu_fpu {
	uint64_t image;			/* or 0 */
	uint64_t size, xfd;
	uint64_t init;			/* a mask */
};

/* debug(command, argument): for tests, EPERM unless `debug` is on the command line. */
#define TARRY_DEBUG_PANIC		1	/* panic, or all other CPUs of the mask `argument` do, at once */
#define TARRY_DEBUG_STACK_OVERFLOW	2	/* run over the kernel stack's guard page */
#define TARRY_DEBUG_EXCEPTION		3	/* raise exception `argument` in kernel mode */
#define TARRY_DEBUG_CHECK_WX		4	/* count mappings both writable and executable */
#define TARRY_DEBUG_SMEP		5	/* execute a user page in kernel mode */
#define TARRY_DEBUG_SMAP		6	/* read a user page in kernel mode without STAC */
#define TARRY_DEBUG_UNBALANCED		7	/* leave one preemption section open */
#define TARRY_DEBUG_SPIN		8	/* spin `argument` ticks, preemptible */
#define TARRY_DEBUG_SPIN_NOPREEMPT	9	/* spin `argument` ticks, preemption off */
#define TARRY_DEBUG_WAKE		10	/* sleep until a kernel thread wakes us in `argument` ms */
#define TARRY_DEBUG_SECTION		12	/* TSC ticks of a kernel FPU section with nothing in it... */
#define TARRY_SECTION_FIRST		0	/* ... the first since user code ran, */
#define TARRY_SECTION_AGAIN		1	/* ... the next, */
#define TARRY_SECTION_SAVE		2	/* of the save that the first one begins with, */
#define TARRY_SECTION_LOAD		3	/* or of the load that puts the same values back; 20 bits each: */
#define TARRY_SECTION_GROSS(ticks)	((ticks) & 0xfffff)		/* all, */
#define TARRY_SECTION_MODEL(ticks)	((ticks) >> 20 & 0xfffff)	/* those inside the model, */
#define TARRY_SECTION_TRACE(ticks)	((ticks) >> 40 & 0xfffff)	/* and inside the trace */
#define TARRY_DEBUG_TENTH		11	/* bits of 0.1 from a kernel FPU section, computed... */
#define TARRY_TENTH_SSE			0	/* ... with SSE */
#define TARRY_TENTH_X87			1	/* ... with the x87 */
#define TARRY_TENTH_THREAD		2	/* ... with SSE in a kernel thread */
#define TARRY_DEBUG_CALL		13	/* `argument` calls of all other CPUs: how many they answered */
#define TARRY_DEBUG_PEEK		14	/* struct tarry_peek *: other CPUs read the caller's memory */

/*
 * Each other CPU that runs no program takes on the caller's address space, keeps it, and reads the word at
 * `address`, if it can.
 */
struct tarry_peek {
	uint64_t address;		/* of a 32-bit word */
	uint32_t readers, faults;	/* CPUs that could and that could not read it... */
	uint64_t sum;			/* ... and the sum of what they read */
};
#define TARRY_DEBUG_CPU_OFFLINE		15	/* CPU `argument` runs nothing any more, and forgets its registers */
#define TARRY_DEBUG_CPU_ONLINE		16	/* ... is started anew */
#define TARRY_DEBUG_FAIL_ALLOC		32	/* the caller's `argument`-th page or heap allocation from now
					   on fails; 0: none. Gives how many were left of the last plan */

#endif
