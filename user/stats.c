/* stats - prints the kernel's counters. */
#include <lib.h>

int main(void)
{
	struct tarry_stats s;
	long r = stats(&s, sizeof(s));

	if (r < 0) {
		dprintf(2, "stats: %s\n", error_text(r));
		return 1;
	}
	printf("free pages          %10lu of %lu\n", s.free_pages, s.total_pages);
	printf("kernel heap pages   %10lu\n", s.heap_pages);
	printf("tasks               %10lu\n", s.tasks);
	printf("context switches    %10lu\n", s.context_switches);
	printf("timer ticks         %10lu, %lu of them idle\n", s.ticks, s.idle_ticks);
	printf("page faults         %10lu\n", s.page_faults);
	printf("unknown calls       %10lu\n", s.syscalls_missing);
	printf("boot, by the TSC    %10lu\n", s.boot_insns);
	printf("up                  %6lu.%03lu s\n", s.uptime_ns / 1000000000,
	       s.uptime_ns / 1000000 % 1000);
	return 0;
}
