; The first instructions of Tarry: from GRUB's 32-bit protected mode to 64-bit long mode in the
; higher half. GRUB (Multiboot 2, section 3.3) enters with paging off, EAX = magic, EBX = the boot
; information. This file builds three temporary mappings of the first 4 GiB of physical memory with
; 2 MiB pages (identity, direct map, kernel image) and jumps to kmain on the boot stack. It must
; never touch memory that GRUB's information may lie in, nor any x87, SSE or AVX register.
;
; The temporary tables are writable and executable; paging_init replaces them before any other
; code than kernel start-up has run. Other processors take their first steps on them too.

%include "offsets.inc"

MULTIBOOT2_MAGIC    equ 0xe85250d6
PTE_P_RW            equ 0x003
PTE_P_RW_2M         equ 0x083
CR0_PE_MP_ET_WP_PG  equ 0x80010013
CR4_PAE             equ 1 << 5
EFER                equ 0xc0000080
EFER_LME_NXE        equ (1 << 8) | (1 << 11)

	section .multiboot
	align 8
header:	dd MULTIBOOT2_MAGIC
	dd 0				; architecture: i386, protected mode
	dd header_end - header
	dd -(MULTIBOOT2_MAGIC + 0 + (header_end - header))
	dw 0, 0				; end tag
	dd 8
header_end:

%define PHYS(symbol) ((symbol) - KERNEL_BASE)

	section .boot exec
	bits 32
	global boot_start
boot_start:
	cli
	cld
	mov esi, eax			; the magic; checked in C, where it can be reported
	rdtsc				; boot time is counted from here
	mov [PHYS(boot_tsc)], eax
	mov [PHYS(boot_tsc) + 4], edx

	; Long mode? CPUID leaf 80000001h, EDX bit 29.
	mov eax, 0x80000000
	push ebx
	cpuid
	pop ebx
	cmp eax, 0x80000001
	jb no_long_mode
	mov eax, 0x80000001
	push ebx
	cpuid
	pop ebx
	bt edx, 29
	jnc no_long_mode

	; One page directory pointer table that maps 4 GiB serves all three places; the kernel image
	; lives in the last 2 GiB, so its table has the first two directories at entries 510 and 511.
	mov edi, PHYS(boot_pd)
	mov eax, PTE_P_RW_2M
	mov ecx, 4 * 512
.fill_pd:
	mov [edi], eax
	mov dword [edi + 4], 0
	add edi, 8
	add eax, 0x200000
	loop .fill_pd

	mov eax, PHYS(boot_pd) + PTE_P_RW
	mov edi, PHYS(boot_pdpt_low)
	mov ecx, 4
.fill_pdpt:
	mov [edi], eax
	add edi, 8
	add eax, 4096
	loop .fill_pdpt
	mov dword [PHYS(boot_pdpt_high) + 510 * 8], PHYS(boot_pd) + PTE_P_RW
	mov dword [PHYS(boot_pdpt_high) + 511 * 8], PHYS(boot_pd) + 4096 + PTE_P_RW

	mov dword [PHYS(boot_pml4)], PHYS(boot_pdpt_low) + PTE_P_RW
	mov dword [PHYS(boot_pml4) + DIRECT_MAP_SLOT * 8], PHYS(boot_pdpt_low) + PTE_P_RW
	mov dword [PHYS(boot_pml4) + 511 * 8], PHYS(boot_pdpt_high) + PTE_P_RW

	mov eax, CR4_PAE
	mov cr4, eax
	mov eax, PHYS(boot_pml4)
	mov cr3, eax
	mov ecx, EFER
	rdmsr
	or eax, EFER_LME_NXE
	wrmsr
	mov eax, CR0_PE_MP_ET_WP_PG
	mov cr0, eax
	lgdt [boot_gdt_pointer]
	jmp 0x08:long_mode

no_long_mode:
	mov esi, .message
	mov edi, 0xb8000
	mov ah, 0x4f
.next:	lodsb
	test al, al
	jz .halt
	stosw
	mov ecx, eax			; the same text to the serial port, which GRUB may have set up
	mov edx, 0x3f8
	out dx, al
	mov eax, ecx
	jmp .next
.halt:	hlt
	jmp .halt
.message: db "Tarry needs a 64-bit CPU (long mode).", 0

	align 8
boot_gdt:
	dq 0
	dq 0x00209a0000000000		; 64-bit code, ring 0
	dq 0x0000920000000000		; data, ring 0
boot_gdt_pointer:
	dw $ - boot_gdt - 1
	dd boot_gdt

	bits 64
long_mode:
	xor eax, eax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov fs, ax
	mov gs, ax
	mov rax, higher_half
	jmp rax

	section .text
	extern kmain
higher_half:
	mov rsp, boot_stack_top
	xor ebp, ebp			; ends every backtrace
	mov edi, esi			; kmain(magic, physical address of the boot information)
	mov esi, ebx
	push rbp			; so does this return address, for a debugger: kmain never returns
	jmp kmain

	section .bss nobits alloc write align=4096
	global boot_pml4
boot_pml4:	resb 4096
boot_pdpt_low:	resb 4096
boot_pdpt_high:	resb 4096
boot_pd:	resb 4 * 4096
	global boot_stack_bottom
boot_stack_bottom: resb 16384
	global boot_stack_top
boot_stack_top:
	global boot_tsc
boot_tsc:	resq 1
