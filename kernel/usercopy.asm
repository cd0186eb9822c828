; The only instructions that touch user memory. Each that may fault has an entry in the exception table:
; the fault handler continues at the fix-up when it could not resolve the fault. SMAP is lifted (STAC) just
; around them, and these sites are recorded so that CPUs without SMAP get NOPs.

	bits 64
	section .text

%macro AC_SITE 1
%%site:	%1
	[section .smap_sites]
	dq %%site
	__?SECT?__
%endmacro

%macro FIXUP 2				; instruction, where to continue
	[section .extable]
	dq %1, %2
	__?SECT?__
%endmacro

; size_t copy_user(void *dst /* RDI */, const void *src /* RSI */, size_t n /* RDX */)
; Returns the number of bytes not copied. After a fault in the quadword loop the byte loop goes on, so that
; everything up to the last good byte is copied.
	global copy_user
copy_user:
	mov rcx, rdx
	and edx, 7
	shr rcx, 3
	AC_SITE stac
.words:	rep movsq
	mov ecx, edx
.bytes:	rep movsb
.end:	AC_SITE clac
	mov rax, rcx
	ret
.words_fault:
	lea rcx, [rdx + rcx * 8]
	jmp .bytes
	FIXUP .words, .words_fault
	FIXUP .bytes, .end

; size_t clear_user_bytes(void *dst /* RDI */, size_t n /* RSI */): bytes not cleared.
	global clear_user_bytes
clear_user_bytes:
	mov rcx, rsi
	xor eax, eax
	AC_SITE stac
.bytes:	rep stosb
.end:	AC_SITE clac
	mov rax, rcx
	ret
	FIXUP .bytes, .end

; int read_user_u32(const u32 *src /* RDI */, u32 *value /* RSI */): 0, or -1 after a fault.
	global read_user_u32
read_user_u32:
	AC_SITE stac
.load:	mov eax, [rdi]
	AC_SITE clac
	mov [rsi], eax
	xor eax, eax
	ret
.fault:	AC_SITE clac
	mov eax, -1
	ret
	FIXUP .load, .fault
