; The first instructions of every processor but the first: from real mode, where the start-up message leaves
; them, to long mode and C. smp.c copies the part in .rodata to the page TRAMPOLINE, which the message names, and
; starts one CPU after the other, so this may read what is meant for that CPU from variables. It must not use a
; stack before it has one of its own, nor touch an x87, SSE or AVX register.
;
; The first steps are taken on the boot tables, which map the low 4 GiB where they are; the kernel's own don't.

%include "offsets.inc"

CR0_PE              equ 1
CR0_PE_MP_ET_WP_PG  equ 0x80010013
CR4_PAE             equ 1 << 5
EFER                equ 0xc0000080
EFER_LME_NXE        equ (1 << 8) | (1 << 11)

CODE32              equ 0x08
DATA                equ 0x10
CODE64              equ 0x18

	extern boot_pml4, ap_cpu, ap_cr3, ap_main
	global trampoline_start, trampoline_end

; Where a label of the copy lies.
%define COPY(label) (TRAMPOLINE + (label) - trampoline_start)

	section .rodata
	align 8
	bits 16
trampoline_start:			; CS = TRAMPOLINE / 16, IP = 0
	cli
	cld
	xor ax, ax
	mov ds, ax
	o32 lgdt [COPY(ap_gdt_pointer)]
	mov eax, cr0
	or eax, CR0_PE
	mov cr0, eax
	jmp dword CODE32:COPY(protected_mode)

	bits 32
protected_mode:
	mov eax, DATA
	mov ds, eax
	mov eax, CR4_PAE
	mov cr4, eax
	mov eax, boot_pml4 - KERNEL_BASE
	mov cr3, eax
	mov ecx, EFER
	rdmsr
	or eax, EFER_LME_NXE
	wrmsr
	mov eax, CR0_PE_MP_ET_WP_PG
	mov cr0, eax
	jmp CODE64:COPY(ap_long_mode)

	bits 64
ap_long_mode:
	mov rax, ap_higher_half
	jmp rax

	align 8
ap_gdt:
	dq 0
	dq 0x00cf9a000000ffff		; 32-bit code, ring 0
	dq 0x00cf92000000ffff		; data, ring 0
	dq 0x00209a0000000000		; 64-bit code, ring 0
ap_gdt_pointer:
	dw $ - ap_gdt - 1
	dd COPY(ap_gdt)
trampoline_end:

	section .text
ap_higher_half:
	xor eax, eax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov fs, ax
	mov gs, ax
	mov rax, [rel ap_cr3]
	mov cr3, rax
	mov rdi, [rel ap_cpu]
	mov rsp, [rdi + CPU_KERNEL_RSP]
	xor ebp, ebp			; ends every backtrace
	call ap_main
	ud2
