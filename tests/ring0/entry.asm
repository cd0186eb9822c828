; Exception entries of the proof in ring 0. Each stub makes the same frame; fault() decides where to go on.
; Only general registers are touched: what the FPU holds at a fault is what is compared.

	bits 64
	section .text
	extern fault

%macro STUB 1
stub_%1:
%if !(%1 = 8 || (%1 >= 10 && %1 <= 14) || %1 = 17 || %1 = 21)
	push 0				; vectors for which the CPU pushes no error code
%endif
	push %1
	jmp every_fault
%endmacro

%assign vector 0
%rep 32
	STUB vector
%assign vector vector + 1
%endrep

every_fault:
	push rax
	push rcx
	push rdx
	push rsi
	push rdi
	push r8
	push r9
	push r10
	push r11
	mov rdi, [rsp + 9 * 8]		; vector
	lea rsi, [rsp + 11 * 8]		; where RIP is
	cld
	call fault
	pop r11
	pop r10
	pop r9
	pop r8
	pop rdi
	pop rsi
	pop rdx
	pop rcx
	pop rax
	add rsp, 16
	iretq

	section .rodata
	global fault_stubs
fault_stubs:
%assign vector 0
%rep 32
	dq stub_ %+ vector
%assign vector vector + 1
%endrep
