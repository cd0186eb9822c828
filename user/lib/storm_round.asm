; storm_round.asm - void storm_round(void): one round of the storm.
;
; Loads every register there is from the task's `want`, does its work, and stores every register
; to `got`. From the loading to the storing nothing here may use a register that is kept, but
; those that a system call changes anyway. It may return twice: after fork in the child, and after
; clone on the new thread's stack with the new thread's FS base.

bits 64
default abs

TASK_NEXT	equ 8
TASK_LEFT	equ 16
TASK_FEATURES	equ 20
WANT		equ 64
GOT		equ 64 + 2432

AVX		equ 1
AVX512		equ 2
PKU		equ 4

ZMM		equ 0
K		equ 2048
ST		equ 2112
GPR		equ 2240
MXCSR		equ 2368
PKRU		equ 2372
FCW		equ 2376
FSW		equ 2378

CALL_WORD	equ 56
CALL_VALUE	equ 64
CALL_RESULT	equ 72
CALL_SIZE	equ 80
SPIN		equ -1

; INSTRUCTION, REGISTER, COUNT, AREA, STEP: register n from its place, and to it.
%macro load_each 5
%assign n 0
%rep %3
	%1 %2 %+ n, [fs:%4 + n * %5]
%assign n n + 1
%endrep
%endmacro

%macro store_each 5
%assign n 0
%rep %3
	%1 [fs:%4 + n * %5], %2 %+ n
%assign n n + 1
%endrep
%endmacro

global storm_round

section .text
storm_round:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15

; x87: the registers, the place of the stack's top, the control word.
	fninit
	movzx ecx, word [fs:WANT + FSW]
	shr ecx, 11
	jz .top_is_right
.turn:
	fincstp
	loop .turn
.top_is_right:
%assign n 7
%rep 8
	fld tword [fs:WANT + ST + n * 16]
%assign n n - 1
%endrep
	fldcw [fs:WANT + FCW]

; Vectors, the widest form there is.
	ldmxcsr [fs:WANT + MXCSR]
	test dword [fs:TASK_FEATURES], AVX512
	jnz .load_zmm
	test dword [fs:TASK_FEATURES], AVX
	jnz .load_ymm
	load_each movdqu, xmm, 16, WANT + ZMM, 64
	jmp .loaded
.load_ymm:
	load_each vmovdqu, ymm, 16, WANT + ZMM, 64
	jmp .loaded
.load_zmm:
	load_each vmovdqu64, zmm, 32, WANT + ZMM, 64
	load_each kmovq, k, 8, WANT + K, 8
.loaded:
	test dword [fs:TASK_FEATURES], PKU
	jz .load_general
	mov eax, [fs:WANT + PKRU]
	xor ecx, ecx
	xor edx, edx
	wrpkru
; General registers in the order of enum storm_gpr, but RCX: the work uses it.
.load_general:
	mov rax, [fs:WANT + GPR]
	mov rbx, [fs:WANT + GPR + 8]
	mov rdx, [fs:WANT + GPR + 24]
	mov rsi, [fs:WANT + GPR + 32]
	mov rdi, [fs:WANT + GPR + 40]
	mov rbp, [fs:WANT + GPR + 48]
	mov r8, [fs:WANT + GPR + 56]
	mov r9, [fs:WANT + GPR + 64]
	mov r10, [fs:WANT + GPR + 72]
	mov r11, [fs:WANT + GPR + 80]
	mov r12, [fs:WANT + GPR + 88]
	mov r13, [fs:WANT + GPR + 96]
	mov r14, [fs:WANT + GPR + 104]
	mov r15, [fs:WANT + GPR + 112]

.work:
	mov rcx, [fs:TASK_NEXT]
	cmp qword [rcx], SPIN
	je .spin
	jl .store_word
	cmp qword [rcx + CALL_WORD], 0
	je .call
	mov rcx, [rcx + CALL_WORD]
	mov ecx, [rcx]
	mov rax, [fs:TASK_NEXT]
	cmp ecx, [rax + CALL_VALUE]
	je .next				; somebody has done it already
	mov rcx, rax
.call:
	mov rax, [rcx]
	mov rdi, [rcx + 8]
	mov rsi, [rcx + 16]
	mov rdx, [rcx + 24]
	mov r10, [rcx + 32]
	mov r8, [rcx + 40]
	mov r9, [rcx + 48]
	syscall
	mov rcx, [fs:TASK_NEXT]
	mov [rcx + CALL_RESULT], rax
	cmp qword [rcx + CALL_WORD], 0
	jne .work
	jmp .next
.spin:
	mov rcx, [rcx + 8]
.again:
	dec rcx
	jnz .again
	jmp .next
.store_word:
	mov rax, [rcx + CALL_VALUE]
	mov rcx, [rcx + CALL_WORD]
	mov [rcx], eax
.next:
	add qword [fs:TASK_NEXT], CALL_SIZE
	dec dword [fs:TASK_LEFT]
	jnz .work

	mov [fs:GOT + GPR], rax
	mov [fs:GOT + GPR + 8], rbx
	mov [fs:GOT + GPR + 24], rdx
	mov [fs:GOT + GPR + 32], rsi
	mov [fs:GOT + GPR + 40], rdi
	mov [fs:GOT + GPR + 48], rbp
	mov [fs:GOT + GPR + 56], r8
	mov [fs:GOT + GPR + 64], r9
	mov [fs:GOT + GPR + 72], r10
	mov [fs:GOT + GPR + 80], r11
	mov [fs:GOT + GPR + 88], r12
	mov [fs:GOT + GPR + 96], r13
	mov [fs:GOT + GPR + 104], r14
	mov [fs:GOT + GPR + 112], r15
	test dword [fs:TASK_FEATURES], PKU
	jz .store_vectors
	xor ecx, ecx
	rdpkru
	mov [fs:GOT + PKRU], eax
.store_vectors:
	test dword [fs:TASK_FEATURES], AVX512
	jnz .store_zmm
	test dword [fs:TASK_FEATURES], AVX
	jnz .store_ymm
	store_each movdqu, xmm, 16, GOT + ZMM, 64
	jmp .store_x87
.store_ymm:
	store_each vmovdqu, ymm, 16, GOT + ZMM, 64
	vzeroupper
	jmp .store_x87
.store_zmm:
	store_each vmovdqu64, zmm, 32, GOT + ZMM, 64
	store_each kmovq, k, 8, GOT + K, 8
	vzeroupper
.store_x87:
	stmxcsr [fs:GOT + MXCSR]
	fnstsw [fs:GOT + FSW]
	fnstcw [fs:GOT + FCW]
%assign n 0
%rep 8
	fstp tword [fs:GOT + ST + n * 16]
%assign n n + 1
%endrep

; What compiled code expects.
	fninit
	ldmxcsr [default_mxcsr]
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

section .rodata
default_mxcsr:	dd 0x1f80

section .note.GNU-stack noalloc noexec nowrite progbits
