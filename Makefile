# Tarry's build. Everything that is made goes to build/. The kernel is here; the ISO, the user programs and
# the tests have makefiles of their own, included at the end.

BUILD := build
CROSS_COMPILE ?= $(if $(shell command -v x86_64-linux-gnu-gcc),x86_64-linux-gnu-,x86_64-elf-)
CC := $(CROSS_COMPILE)gcc
OBJCOPY := $(CROSS_COMPILE)objcopy
NM := $(CROSS_COMPILE)nm
NASM ?= nasm

KERNEL_DIRS := boot kernel kernel/crypto fpu sched
KERNEL_C := $(filter-out kernel/offsets.c,$(wildcard $(KERNEL_DIRS:%=%/*.c)))
KERNEL_ASM := $(wildcard $(KERNEL_DIRS:%=%/*.asm))
KERNEL_OBJECTS := $(KERNEL_C:%.c=$(BUILD)/%.o) $(KERNEL_ASM:%.asm=$(BUILD)/%.asm.o)

# No vector or x87 instruction may appear in the kernel but where a file asks for it; the red zone would be
# overwritten by interrupts.
KERNEL_CFLAGS := -std=gnu11 -O2 -g -I. -ffreestanding -fno-pic -mcmodel=kernel -mno-red-zone \
	-mgeneral-regs-only -mpreferred-stack-boundary=3 -fno-omit-frame-pointer -momit-leaf-frame-pointer -fno-stack-protector \
	-falign-loops=1 -falign-jumps=1 -fno-asynchronous-unwind-tables -fno-strict-aliasing -fno-tree-loop-distribute-patterns \
	-fcf-protection=none -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes \
	-Wno-unused-parameter -MMD -MP

.PHONY: all kernel clean lines
all: iso
GDB_SCRIPTS := $(BUILD)/tarry.elf-gdb.py $(BUILD)/tarry.elf-gdb.gdb
kernel: $(BUILD)/tarry.stripped.elf $(BUILD)/tarry.sym $(GDB_SCRIPTS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(KERNEL_CFLAGS) -c $< -o $@

$(BUILD)/%.asm.o: %.asm $(BUILD)/offsets.inc Makefile
	@mkdir -p $(@D)
	$(NASM) -f elf64 -g -F dwarf -I$(BUILD)/ $< -o $@

# Offsets of C structures for the assembler files: compile to text, keep the marked lines.
$(BUILD)/offsets.inc: kernel/offsets.c $(wildcard kernel/*.h sched/*.h fpu/*.h) Makefile
	@mkdir -p $(@D)
	$(CC) $(KERNEL_CFLAGS) -MF $(BUILD)/offsets.d -S $< -o $(BUILD)/offsets.s
	sed -n 's/^->//p' $(BUILD)/offsets.s > $@

$(BUILD)/tarry.elf: $(KERNEL_OBJECTS) linker.ld
	$(CC) -nostdlib -static -no-pie -Wl,-T,linker.ld -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
		-Wl,-z,noexecstack -o $@ $(KERNEL_OBJECTS)

$(BUILD)/tarry.stripped.elf: $(BUILD)/tarry.elf
	$(OBJCOPY) --strip-all $< $@

$(BUILD)/tarry.sym: $(BUILD)/tarry.elf
	$(NM) -n $< > $@

# GDB loads them when it opens tarry.elf.
$(BUILD)/tarry.elf-gdb.%: tools/gdb/autoload.%
	@mkdir -p $(@D)
	cp $< $@

clean:
	rm -rf $(BUILD)

# How large the kernel is; WRITE=1 puts the table into the README.
lines:
	@python3 tools/lines.py $(if $(WRITE),--write)

include kernel/crypto/flags.mk
-include $(KERNEL_OBJECTS:.o=.d)
-include tools/iso.mk user/Makefile.inc tests/Makefile.inc labs/Makefile.inc
