/* The time of day at boot, from the PC's real-time clock (CMOS registers 0 to 9, BCD or binary, UTC assumed). */
#include "kernel/insn.h"
#include "kernel/spinlock.h"
#include "kernel/syscall.h"
#include "kernel/time.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA 0x71

enum { RTC_SECONDS = 0, RTC_MINUTES = 2, RTC_HOURS = 4, RTC_DAY = 7, RTC_MONTH = 8, RTC_YEAR = 9, RTC_A = 10, RTC_B = 11 };

#define RTC_A_UPDATING 0x80
#define RTC_B_BINARY 0x04

static u32 read_cmos(u8 reg)
{
	outb(CMOS_INDEX, reg);
	return inb(CMOS_DATA);
}

static u32 read_field(u8 reg)
{
	u32 value = read_cmos(reg);

	return read_cmos(RTC_B) & RTC_B_BINARY ? value : (value >> 4) * 10 + (value & 15);
}

/* Days since 1 January 1970; the year begins in March, so that the leap day is its last. */
static u64 days(u32 year, u32 month, u32 day)
{
	u32 y = year - (month < 3), m = month < 3 ? month + 9 : month - 3;

	return 365ul * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

u64 realtime_offset(void)
{
	static struct spinlock lock; /* index and data register belong together */
	static volatile u64 offset;
	u64 seconds;

	if (offset)
		return offset;
	spin_lock(&lock);
	while (read_cmos(RTC_A) & RTC_A_UPDATING)
		cpu_relax();
	seconds = days(2000 + read_field(RTC_YEAR), read_field(RTC_MONTH), read_field(RTC_DAY)) * 86400 +
		  read_field(RTC_HOURS) * 3600 + read_field(RTC_MINUTES) * 60 + read_field(RTC_SECONDS);
	offset = seconds * NSEC_PER_SEC - clock_ns();
	spin_unlock(&lock);
	return offset;
}
