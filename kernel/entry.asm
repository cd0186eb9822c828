; Every way into the kernel and back out: SYSCALL, exceptions, interrupts. Each path builds a struct
; regs (kernel/cpu.h) on the kernel stack, calls C, and leaves through the one place that tests the
; task's flags word with interrupts off. No decision is made here but those that C can't make, and
; nothing here may touch an x87, SSE or AVX register.

%include "offsets.inc"

	bits 64
	section .text

	extern trap, exit_to_user_work, fpu_exit_to_user, syscall_table, own_syscall_table, sys_missing_beyond
	extern espfix_page, ptrace_syscall_entry, syscall_exit_work

ESPFIX_FRAME equ ESPFIX_SLOT - 6 * 8

; STAC and CLAC exist only on CPUs with SMAP; cpu_init overwrites the recorded sites with NOPs elsewhere.
%macro CLAC 0
%%site:	clac
	[section .smap_sites]
	dq %%site
	__?SECT?__
%endmacro

; The registers below the system-call number or error code, in the order of struct regs. RDI is pushed by
; the caller of the macro.
%macro PUSH_REGS 0
	push rsi
	push rdx
	push rcx
	push rax
	push r8
	push r9
	push r10
	push r11
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
%endmacro

%macro POP_ALL_REGS 0
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	POP_CALLER_REGS
%endmacro

; Those that a C function may have changed.
%macro POP_CALLER_REGS 0
	pop r11
	pop r10
	pop r9
	pop r8
	pop rax
	pop rcx
	pop rdx
	pop rsi
	pop rdi
%endmacro

; C kept RBX, RBP and R12 to R15, so the short way out of a system call leaves them alone.
%macro SYSRET_SHORT 0
	add rsp, REGS_R11
	POP_CALLER_REGS
	mov rsp, [rsp + REGS_RSP - REGS_ORIG_RAX]
	swapgs
	o64 sysret
%endmacro

; The end of a system call: result in RAX. One test of the flags word decides whether there is more to do.
%macro SYSCALL_RETURN 0
	mov [rsp + REGS_RAX], rax
	cli
	mov rcx, [gs:CPU_CURRENT]
	cmp dword [rcx + TASK_FLAGS], 0
	jne syscall_entry.work
	SYSRET_SHORT
%endmacro

; ---------------------------------------------------------------------------------------------------
; SYSCALL (manual, volume 2: RCX = return address, R11 = RFLAGS; RSP is still the user's; interrupts,
; TF, DF, NT and AC are off through the flag mask). Number in RAX, arguments in RDI RSI RDX R10 R8 R9.
%macro ENTER_SYSCALL 0
	swapgs
	mov [gs:CPU_USER_RSP], rsp
	mov rsp, [gs:CPU_KERNEL_RSP]
	push USER_SS
	push qword [gs:CPU_USER_RSP]
	push r11
	push USER_CS
	push rcx
	push rax			; orig_rax
	push rdi
	PUSH_REGS
	sti
%endmacro

	global syscall_entry
syscall_entry:
	ENTER_SYSCALL
.make:	cmp rax, LINUX_CALLS
	jae .own_call
	mov rcx, r10			; C passes the fourth argument in RCX
	call [syscall_table + rax * 8]
	SYSCALL_RETURN

	; Mostly the one thing to do is to load the task's registers (fpu/switch.c): straight there. The frame may
	; have been rewritten (exec, fork, ptrace, signals): then IRET.
.work:	cmp dword [rcx + TASK_FLAGS], TASK_NEED_FPU_LOAD
	jne .more
	mov rdi, rcx
	call fpu_exit_to_user
	test al, al
	jz .more
	SYSRET_SHORT
.more:	mov rdi, rsp
	call syscall_exit_work
	test al, al
	jnz restore_user
	SYSRET_SHORT

.own_call:
	sub rax, OWN_CALLS_FIRST
	cmp rax, OWN_CALLS
	jae .missing
	call [own_syscall_table + rax * 8] ; none takes a fourth argument
	SYSCALL_RETURN
.missing:
	call sys_missing_beyond
	SYSCALL_RETURN

; The entry of a CPU on which a traced task has been (cpu_watch_syscalls): its tracer may look first, and change number,
; arguments and result.
	global syscall_entry_watched
syscall_entry_watched:
	ENTER_SYSCALL
	mov rdi, rsp
	call ptrace_syscall_entry
	mov rdi, [rsp + REGS_RDI]
	mov rsi, [rsp + REGS_RSI]
	mov rdx, [rsp + REGS_RDX]
	mov r10, [rsp + REGS_R10]
	mov r8, [rsp + REGS_R8]
	mov r9, [rsp + REGS_R9]
	cmp rax, -1
	jne syscall_entry.make
	mov rax, [rsp + REGS_RAX]
	SYSCALL_RETURN

; ---------------------------------------------------------------------------------------------------
; A new user task's first instruction in the kernel (sched/switch.asm returns here), and the end of every
; interrupt from user mode. The whole frame is loaded.
	global return_to_user
return_to_user:
	cli
	mov rax, [gs:CPU_CURRENT]
	cmp dword [rax + TASK_FLAGS], 0
	je restore_user
	mov rdi, rsp
	call exit_to_user_work
restore_user:
	POP_ALL_REGS
	add rsp, 8			; orig_rax
	test byte [rsp + 32], SELECTOR_LDT ; SS
	jnz own_stack_segment
	swapgs
iret_to_user:
	iretq

	; It may be a 16-bit one: from the slot of this CPU, at the address that has the right bits (paging.c). What lies
	; below the frame in the slot is enough for the registers, should IRET refuse it.
own_stack_segment:
	push rax
	push rdi
	mov edi, [gs:CPU_ID]
	shl edi, ESPFIX_SHIFT
	add rdi, [espfix_page]
%assign word 0
%rep 6
	mov rax, [rsp + 8 + word * 8]	; RAX, RIP, CS, RFLAGS, RSP, SS
	mov [rdi + ESPFIX_FRAME + word * 8], rax
%assign word word + 1
%endrep
	mov eax, [rsp + 8 + 4 * 8]	; ESP
	and eax, 0xffff0000
	and edi, 0xfff
	or rax, rdi
	mov rdi, (ESPFIX_AREA_HIGH << 32) + ESPFIX_FRAME
	add rax, rdi
	pop rdi
	swapgs
	mov rsp, rax
	pop rax
	jmp iret_to_user

; SYSCALL from 32-bit code, of which we know no call, is answered from here: user mode has never been left but for
; the privilege level, so nothing may be touched. AMD's processors and QEMU come here, Intel's raise #UD.
	global syscall32_entry
syscall32_entry:
	mov eax, -ENOSYS
	o32 sysret

; ---------------------------------------------------------------------------------------------------
; Exceptions and interrupts. A stub leaves: error code (or -1), the saved RDI; EDI = vector.
interrupt:
	PUSH_REGS
	cld
	CLAC				; the interrupted program may have had AC set
	mov rsi, rsp
	test byte [rsp + REGS_CS], 3
	jz .from_kernel
	swapgs
	call trap
	jmp return_to_user
.from_kernel:
	cmp qword [rsp + REGS_RIP], iret_to_user
	je .bad_frame
	push qword [rsp + REGS_RIP]	; makes the interrupted function a frame of the backtrace
	push rbp
	mov rbp, rsp
	call trap			; reschedules, if that is due and allowed
	add rsp, 16
	POP_ALL_REGS
	add rsp, 8
	iretq

	; IRET refused the user's CS, SS or RIP. It counts as a fault of the user's instruction there: the registers that
	; were pushed below the frame move up to it.
.bad_frame:
	swapgs
	mov rsi, rsp
	mov rsp, [gs:CPU_KERNEL_RSP]
	sub rsp, REGS_SIZE - REGS_RIP
%assign slot 15
%rep 16
	push qword [rsi + slot * 8]	; error code, RDI, ... R15
%assign slot slot - 1
%endrep
	mov rsi, rsp
	call trap
	jmp return_to_user

; NMI, double fault, machine check and debug come at any instruction, with either GS base. Each has a stack of
; its own in the TSS, whose last quadword holds the address of the CPU's struct cpu.
interrupt_paranoid:
	PUSH_REGS
	cld
	CLAC
	mov ebx, edi
	mov ecx, MSR_GS_BASE
	rdmsr
	mov r12d, eax
	mov r13d, edx
	mov rsi, rsp
	or rsi, IST_STACK_SIZE - 1
	mov rax, [rsi - 7]
	mov rdx, rax
	shr rdx, 32
	wrmsr
	mov edi, ebx
	mov rsi, rsp
	call trap
	mov ecx, MSR_GS_BASE
	mov eax, r12d
	mov edx, r13d
	wrmsr
	POP_ALL_REGS
	add rsp, 8
	iretq

; The debug exception has a stack of its own too: a user's single step can raise it at the first instruction
; of syscall_entry, where RSP is still the user's (Bochs does; Intel's manual leaves it open). From user mode
; it is an exception like all others, so its frame moves to the task's kernel stack.
stub_debug:
	push -1
	push rdi
	mov edi, 1
	test byte [rsp + 24], 3		; RDI, error code, RIP, CS
	jz interrupt_paranoid
	swapgs
	mov rdi, rsp
	mov rsp, [gs:CPU_KERNEL_RSP]
%assign slot 6
%rep 7
	push qword [rdi + slot * 8]	; SS, RSP, RFLAGS, CS, RIP, error code, RDI
%assign slot slot - 1
%endrep
	swapgs				; as `interrupt` expects it
	mov edi, 1
	jmp interrupt

%macro STUB 1
	align 16
stub_%1:
%if %1 == 1
	jmp stub_debug
%else
%if !(%1 == 8 || (%1 >= 10 && %1 <= 14) || %1 == 17 || %1 == 21 || %1 == 29 || %1 == 30)
	push -1				; the CPU pushes no error code for this vector
%endif
	push rdi
	mov edi, %1
%if %1 == 2 || %1 == 8 || %1 == 18
	jmp interrupt_paranoid
%else
	jmp interrupt
%endif
%endif
%endmacro

%assign i 0
%rep 48
	STUB i
%assign i i + 1
%endrep
	STUB 0x80
	STUB 255

	section .rodata
	global interrupt_stubs
interrupt_stubs:			; handler addresses of vectors 0 to 47, then 0x80 and 255
%assign i 0
%rep 48
	dq stub_%[i]
%assign i i + 1
%endrep
	dq stub_0x80, stub_255
