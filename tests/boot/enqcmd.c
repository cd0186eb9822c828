/*
 * enqcmd - the instruction and the device behind it. Catches: a wrong or missing fault, flags that are not those of
 * the manual, a store that reaches memory, a portal that somebody but the device writes, and commands that the
 * device should have refused or refuses for ever.
 */
#include "pasid.h"

#define ZF	0x40ul
#define OTHERS	0x895ul		/* CF, PF, AF, SF, OF */

static void lock_prefix(void)
{
	bind();
	reset();
	set_handler(SIGILL, skip_insn, 0, 0);
	insn_length++;
	__asm__ volatile(".byte 0xf0, 0xf2, 0x0f, 0x38, 0xf8, 0x08" : : "a"(&command), "c"(portal) : "memory", "cc");
	EXPECT_EQ(last_signal, SIGILL);
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(portal->commands, 0);
}

/* --- Addresses and flags --- */

static void addresses(void)
{
	char *pages = (char *)mmap(NULL, 2 * PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *end = pages + PAGE_SIZE;
	struct tarry_descriptor *last = (struct tarry_descriptor *)(end - sizeof(command));

	bind();
	munmap(end, PAGE_SIZE);
	*last = command;
	EXPECT_EQ(try(portal, last), 0);
	expect_page_fault(try(portal, (char *)last + 8), SEGV_MAPERR, (uint64_t)end, 4);
	expect_page_fault(try(portal, end), SEGV_MAPERR, (uint64_t)end, 4);
	expect_page_fault(try(end, &command), SEGV_MAPERR, (uint64_t)end, 6);
	EXPECT_EQ(syscall3(SYS_mprotect, pages, PAGE_SIZE, PROT_READ), 0);
	expect_page_fault(try(pages, &command), SEGV_ACCERR, (uint64_t)pages, 6);
	expect_page_fault(try((void *)0xffff800000000000, &command), SEGV_MAPERR, 0xffff800000000000, 6);
	munmap(pages, PAGE_SIZE);
}

/* The flags after an ENQCMD with all of them set before. */
static uint64_t flags_after(const volatile void *to)
{
	uint64_t flags;

	__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\torq %3, (%%rsp)\n\tpopfq\n\tenqcmd (%1), %2\n\t"
			 "pushfq\n\tpopq %0\n\tlea 128(%%rsp), %%rsp"
			 : "=&r"(flags) : "r"(&command), "r"(to), "i"(ZF | OTHERS) : "memory", "cc");
	return flags & (ZF | OTHERS);
}

static void flags(void)
{
	int accepted = 0;

	bind();
	memory.commands = 77;
	EXPECT_EQ(flags_after(&memory), ZF);
	EXPECT_EQ(memory.commands, 77);		/* no device is there: the store is dropped */
	EXPECT_EQ(memory.pasid, 0);
	for (int i = 0; i < ROUNDS && !accepted; i++) {
		uint64_t status = flags_after(portal);

		accepted = !status;
		EXPECT(!status || status == ZF);
		sleep_ms(1);
	}
	EXPECT(accepted);
}

/* Nobody writes the portal but the device. */
static void stores(void)
{
	volatile uint64_t *word;

	bind();
	word = (volatile uint64_t *)&portal->errors;
	set_handler(SIGSEGV, skip_insn, 0, 0);
	for (int i = 0; i < 3; i++) {
		reset();
		insn_length = 3;
		__asm__ volatile("movq %0, (%1)" : : "a"(5ul), "c"(word) : "memory");
		insn_length = ENQCMD_LENGTH;
		expect_page_fault(last_signal, SEGV_ACCERR, (uint64_t)word, 6);
		EXPECT_EQ(*word, 0);
		EXPECT_EQ(syscall3(SYS_mprotect, portal, PAGE_SIZE, i ? PROT_READ : RW), 0);
	}
	EXPECT_EQ(getrandom((void *)word, 8, 0), -EFAULT);
	expect_page_fault(try(portal, &command), SEGV_ACCERR, (uint64_t)portal, 6);
	EXPECT_EQ(syscall3(SYS_mprotect, portal, PAGE_SIZE, RW), 0);
	submit();
	EXPECT_EQ(portal->commands, 1);
	EXPECT_EQ(munmap((void *)portal, PAGE_SIZE), 0);
	expect_page_fault(try(portal, &command), SEGV_MAPERR, (uint64_t)portal, 6);
	bind();
	EXPECT_EQ(portal->commands, 1);
}

/* --- The device --- */

static void expect_status(uint8_t status)
{
	uint64_t errors = portal->errors;

	memset(&record, 0xff, sizeof(record));
	submit();
	EXPECT_EQ(record.status, status);
	EXPECT_EQ(record.zero[30], status == 0xff ? 0xff : 0);
	EXPECT_EQ(portal->errors - errors, status != TARRY_WQ_SUCCESS);
}

static void bad_commands(void)
{
	static const struct tarry_completion readonly __attribute__((aligned(32))) = { .status = 9 };
	uint64_t sent, strays = now().pasid_strays;

	bind();
	expect_status(TARRY_WQ_SUCCESS);
	for (uint32_t opcode = 1; opcode < 256; opcode += 51) {
		command.operation = opcode << TARRY_WQ_OPCODE | TARRY_WQ_ADDRESS_VALID;
		expect_status(TARRY_WQ_BAD_OPCODE);
	}
	for (uint32_t bit = 0; bit < TARRY_WQ_OPCODE; bit++) {
		command = noop_command(&record);
		command.operation |= 1u << bit;
		expect_status(bit == 2 || bit == 3 ? TARRY_WQ_SUCCESS : TARRY_WQ_BAD_FLAGS);
	}
	for (int i = 0; i < 6; i++) {
		command = noop_command(&record);
		command.reserved[i] = 1ul << 63;
		expect_status(TARRY_WQ_BAD_RESERVED);
	}
	command = noop_command(&record);
	command.completion += 8;
	expect_status(0xff);
	command.completion = 0x1000;
	expect_status(0xff);
	command.completion = (uint64_t)portal;
	expect_status(0xff);
	command.completion = 0xffffffff80000000;
	expect_status(0xff);
	command.completion = (uint64_t)&readonly;
	expect_status(0xff);
	EXPECT_EQ(readonly.status, 9);
	command.operation = TARRY_WQ_REPORT;
	expect_status(0xff);
	command = noop_command(&record);
	command.operation = TARRY_WQ_ADDRESS_VALID;
	sent = portal->commands;
	memset(&record, 0xff, sizeof(record));
	submit();
	EXPECT_EQ(record.status, 0xff);		/* success, and nobody asked */
	EXPECT_EQ(portal->commands, sent + 1);
	EXPECT_EQ(now().pasid_strays, strays);
}

static void full_queue(void)
{
	uint64_t accepted = 0;
	int retries = 0;

	bind();
	for (int round = 0; round < ROUNDS && !retries; round++)
		for (uint32_t i = 0; i <= TARRY_WQ_ENTRIES; i++) {
			int retry = enqcmd(portal, &command);

			retries += retry;
			accepted += !retry;
		}
	EXPECT(retries);
	EXPECT_EQ(portal->retries, retries);
	EXPECT_EQ(portal->commands, accepted);
	submit();
	EXPECT_EQ(portal->commands, accepted + 1);
}

IN_CHILD(lock, lock_prefix)
IN_CHILD(addresses, addresses)
IN_CHILD(flags, flags)
IN_CHILD(stores, stores)
IN_CHILD(bad, bad_commands)
IN_CHILD(full, full_queue)

static const struct ktap_test tests[] = {
	{ "LOCK", test_lock },
	{ "addresses", test_addresses },
	{ "flags", test_flags },
	{ "stores to the portal", test_stores },
	{ "bad commands", test_bad },
	{ "a full queue", test_full },
};

KTAP_MAIN(tests)
