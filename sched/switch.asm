; The switch between two kernel stacks, and what a new task's first switch returns to. C has saved all that
; belongs to a task except the registers that a C function must keep and the stack pointer itself.

%include "offsets.inc"

	bits 64
	section .text

	extern sched_see_off, sched_first_run, fork_first_run, task_exit_kthread, return_to_user

; void switch_stacks(u64 *save_rsp /* RDI */, u64 load_rsp /* RSI */)
; The caller's return address is on the stack already.
	global switch_stacks
switch_stacks:
	push rbx			; the six registers that the C ABI says a function keeps;
	push rbp			; all others the caller has saved or given up
	push r12
	push r13
	push r14
	push r15
	mov [rdi], rsp			; the old task is now completely in memory
	mov rsp, rsi			; from here on, the new task's stack
	pop r15				; in reverse: what the new task pushed when it left,
	pop r14				; or what task_alloc laid out for a first run
	pop r13
	pop r12
	pop rbp
	pop rbx
	mov dword [gs:CPU_RQ_LOCK], 0	; nobody stands on the old task's stack: other CPUs may have it
	cmp qword [gs:CPU_LEFT], 0	; does the old task leave this CPU for good?
	jne sched_see_off		; then free its stack, or find it another CPU
	ret				; to the new task's caller of switch_stacks, or below

; The first run of a task comes here by switch_stacks too. User task: its struct regs is what RSP points to now.
	global first_return_to_user
first_return_to_user:
	call fork_first_run
	jmp return_to_user

; First run of a kernel thread: RBX = function, R12 = argument.
	global first_kthread_run
first_kthread_run:
	call sched_first_run
	mov rdi, r12
	call rbx
	call task_exit_kthread
	ud2

; void enter_user(struct regs *regs /* RDI */): leaves the kernel with that frame, the top of the stack.
	global enter_user
enter_user:
	mov rsp, rdi
	jmp return_to_user
