; fuzz_throw.asm - what the fuzzer does between a frame that nobody can trust and code that a compiler made: it goes
; into rt_sigreturn with known registers, stores what comes out, and finds its own stack again. And the bare system
; call. Nothing may be on the stack that matters, nor in a register, when a frame has been thrown.

default abs

RFLAGS		equ 128
STACK		equ 136
HAS		equ 144
FPU		equ 192
YMM_HIGH	equ 512
PKRU		equ 768
HAS_AVX		equ 1
HAS_PKU		equ 2
KEYS_DEFAULT	equ 0x55555554
RFLAGS_NONE	equ 0x202

global fuzz_throw, fuzz_landing, fuzz_trap, fuzz_recover, fuzz_call, fuzz_landed

section .text

%macro keep 0
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
%endmacro

%macro unkeep 0
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret
%endmacro

fuzz_throw:
	keep
	mov [fuzz_landed + STACK], rsp
	fxrstor64 [rsi]
	test byte [fuzz_landed + HAS], HAS_AVX
	jz .no_avx
%assign n 0
%rep 16
	vinsertf128 ymm %+ n, ymm %+ n, [rsi + YMM_HIGH + n * 16], 1
%assign n n + 1
%endrep
.no_avx:
	test byte [fuzz_landed + HAS], HAS_PKU
	jz .no_pku
	mov eax, [rsi + PKRU]
	xor ecx, ecx
	xor edx, edx
	wrpkru
.no_pku:
	mov rsp, rdi
	mov eax, 15
	syscall
fuzz_trap:
	ud2

fuzz_landing:
%assign n 0
%rep 8
	mov [fuzz_landed + n * 8], r %+ %eval(n + 8)
%assign n n + 1
%endrep
	mov [fuzz_landed + 64], rdi
	mov [fuzz_landed + 72], rsi
	mov [fuzz_landed + 80], rbp
	mov [fuzz_landed + 88], rbx
	mov [fuzz_landed + 96], rdx
	mov [fuzz_landed + 104], rax
	mov [fuzz_landed + 112], rcx
	mov [fuzz_landed + 120], rsp
	mov rsp, [fuzz_landed + STACK]
	pushfq
	pop qword [fuzz_landed + RFLAGS]
	push RFLAGS_NONE
	popfq
	fnstcw [fuzz_landed + FPU]
	fxsave64 [fuzz_landed + FPU]
	test byte [fuzz_landed + HAS], HAS_AVX
	jz .no_avx
%assign n 0
%rep 16
	vextractf128 [fuzz_landed + FPU + YMM_HIGH + n * 16], ymm %+ n, 1
%assign n n + 1
%endrep
.no_avx:
	mov ebx, 1
	test byte [fuzz_landed + HAS], HAS_PKU
	jz back
	xor ecx, ecx
	rdpkru
	mov [fuzz_landed + FPU + PKRU], eax
	mov eax, KEYS_DEFAULT
	xor edx, edx
	wrpkru
	jmp back

fuzz_recover:
	mov ebx, 2
	mov rsp, [fuzz_landed + STACK]
back:
	fninit
	ldmxcsr [default_mxcsr]
	mov eax, ebx
	unkeep

; The child comes back from the call with a stack of its own, or none: it must not touch it.
fuzz_call:
	keep
	mov ebx, esi
	mov r11, rdi
	mov rax, [r11]
	mov rdi, [r11 + 8]
	mov rsi, [r11 + 16]
	mov rdx, [r11 + 24]
	mov r10, [r11 + 32]
	mov r8, [r11 + 40]
	mov r9, [r11 + 48]
	syscall
	test ebx, ebx
	jz .parent
	test rax, rax
	jnz .parent
	mov eax, 60
	xor edi, edi
	syscall
.parent:
	unkeep

section .rodata
default_mxcsr:	dd 0x1f80

section .bss
alignb 64
fuzz_landed:	resb FPU + PKRU + 64

section .note.GNU-stack noalloc noexec nowrite progbits
