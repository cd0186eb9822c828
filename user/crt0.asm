; crt0.asm - the first instructions of every Tarry program.
;
; Keeps a copy of the registers as the kernel handed them over (the regs test looks at
; them), then gives the initial stack to the library's start(). It must not touch a
; register before that register has been kept.

bits 64
default rel

extern start
global _start
global entry_registers

section .bss
align 16
entry_registers:			; rax rbx rcx rdx rsi rdi rbp r8-r15, rsp, rflags, cs, ss
	resq 19

section .text
_start:
	mov [entry_registers + 8 * 0], rax
	mov [entry_registers + 8 * 1], rbx
	mov [entry_registers + 8 * 2], rcx
	mov [entry_registers + 8 * 3], rdx
	mov [entry_registers + 8 * 4], rsi
	mov [entry_registers + 8 * 5], rdi
	mov [entry_registers + 8 * 6], rbp
	mov [entry_registers + 8 * 7], r8
	mov [entry_registers + 8 * 8], r9
	mov [entry_registers + 8 * 9], r10
	mov [entry_registers + 8 * 10], r11
	mov [entry_registers + 8 * 11], r12
	mov [entry_registers + 8 * 12], r13
	mov [entry_registers + 8 * 13], r14
	mov [entry_registers + 8 * 14], r15
	mov [entry_registers + 8 * 15], rsp
	mov rdi, rsp			; argc, argv, environment, auxiliary vector
	pushfq
	pop qword [entry_registers + 8 * 16]
	mov rax, cs
	mov [entry_registers + 8 * 17], rax
	mov rax, ss
	mov [entry_registers + 8 * 18], rax
	xor ebp, ebp			; the last frame of any backtrace
	and rsp, -16
	call start			; does not return
	ud2

section .note.GNU-stack noalloc noexec nowrite progbits
