# tools/iso.mk - the boot image, the ISO and what boots it. Included by the top Makefile.
#
# Wants $(BUILD)/tarry.stripped.elf and $(BUILD)/tarry.sym from the kernel's rules, and USER_BINS,
# USER_TESTS and USER_HOSTILE from user/Makefile.inc. The two lists name what goes into the boot
# image, one "GUEST HOST" a line: image.list for everybody, test.list what the boot tests add. A
# list changes only when its content does, so a program that is removed from the sources
# disappears from the image too.

ISO_TOOLS := tools/iso.py tools/image.py tools/errors.py

.PHONY: iso test-image run gdb stepper test test-boot test-bochs test-abi test-cli FORCE
iso: $(BUILD)/tarry.iso $(GDB_SCRIPTS)
test-image: iso user-tests $(BUILD)/test.list

define write-list
	@mkdir -p $(@D)
	@printf '%s %s\n' $(1) > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
endef

# user/Makefile.inc may be read after this file: its variables are looked up late.
.SECONDEXPANSION:

$(BUILD)/image.list: FORCE
	$(call write-list,$(foreach file,$(USER_BINS),/bin/$(notdir $(file)) $(file)))

$(BUILD)/test.list: FORCE $$(USER_HOSTILE)/.done
	$(call write-list,$(foreach file,$(USER_TESTS),/test/$(notdir $(file)) $(file)) \
		$$(ls $(USER_HOSTILE) | sed 's|.*|/hostile/& $(USER_HOSTILE)/&|'))

$(BUILD)/image.cpio: $(BUILD)/image.list $$(USER_BINS) $(ISO_TOOLS)
	python3 tools/image.py $@ $(BUILD)/image.list

$(BUILD)/tarry.iso: $(BUILD)/tarry.stripped.elf $(BUILD)/tarry.sym $(BUILD)/image.cpio $(ISO_TOOLS)
	python3 tools/iso.py $@ $(BUILD)/tarry.stripped.elf $(BUILD)/tarry.sym $(BUILD)/image.cpio

run:
	./run-qemu.sh

# GDB attached to a machine that is stopped at kmain; ARGS are run-qemu.sh's options.
gdb:
	@tools/deps.sh gdb && python3 tools/gdb/start.py $(ARGS)

# A page to step through: of a trace, TRACE=FILE, or of what a small shell script does on two processors.
stepper: $(if $(TRACE),,iso)
	@$(if $(TRACE),,./run-qemu.sh --smp 2 --trace $(BUILD)/trace --exec $(BUILD)/user/bin/sh \
		< tools/stepper/example.sh)
	@tools/stepper.py $(or $(TRACE),$(BUILD)/trace)

test:
	./run-tests.sh

test-boot:
	./run-tests.sh boot/qemu

test-bochs:
	./run-tests.sh bochs

test-abi test-cli:
	./run-tests.sh $(@:test-%=%)/
