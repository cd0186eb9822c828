; clone.asm - long clone_thread(flags, stack, ptid, ctid, tls, function, argument)
;
; Starts a thread on a stack of its own and calls function(argument) there; the thread
; ends with what the function returns. It must not use the caller's stack in the child:
; both share one memory.

bits 64

SYS_CLONE	equ 56
SYS_EXIT	equ 60

global clone_thread

section .text
clone_thread:
	mov r11, [rsp + 8]		; argument, the seventh parameter
	and rsi, -16
	sub rsi, 16
	mov [rsi], r9			; the function, on the new stack
	mov [rsi + 8], r11		; its argument
	mov r10, rcx			; the system call's fourth parameter
	mov eax, SYS_CLONE
	syscall
	test rax, rax
	jz .child
	ret
.child:
	xor ebp, ebp
	pop rax
	pop rdi
	call rax
	mov edi, eax
	mov eax, SYS_EXIT
	syscall
	ud2

section .note.GNU-stack noalloc noexec nowrite progbits
