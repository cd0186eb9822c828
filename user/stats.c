/* stats - prints the kernel's counters. */
#include <lib.h>

static const char *const policies[] = { "deferred", "eager", "lazy" };

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
	printf("FPU policy          %10s, integer-only programs: %s\n", policies[s.policy],
	       s.keep_registers ? "ts" : "init");
	printf("saves               %10lu, %lu bytes\n", s.fpu_saves, s.fpu_bytes_saved);
	printf("loads               %10lu, %lu bytes; %lu more avoided\n", s.fpu_loads,
	       s.fpu_bytes_loaded, s.fpu_loads_avoided);
	printf("kernel FPU sections %10lu, %lu of them at no cost\n",
	       s.fpu_sections + s.fpu_sections_again, s.fpu_sections_again);
	printf("component updates   %10lu in registers, %lu in memory, %lu initial;\n", s.fpu_updates_registers,
	       s.fpu_updates_memory, s.fpu_updates_initial);
	printf("                    %10lu flagged, %lu loaded, %lu direct, %lu queued\n", s.fpu_updates_flagged,
	       s.fpu_updates_loaded, s.fpu_updates_direct, s.fpu_updates_queued);
	printf("large fpstates      %10lu, %lu bytes, %s; %lu bytes copied\n", s.buffers, s.buffer_bytes, s.fpbuf,
	       s.buffer_bytes_copied);
	printf("mappings forgotten  %10lu INVLPGs; %lu shootdowns, %lu messages, %lu taken\n", s.invlpgs, s.shootdowns,
	       s.shootdowns_sent, s.shootdowns_taken);
	printf("PASIDs              %10lu populated, %lu stray commands\n", s.pasid_populated, s.pasid_strays);
	printf("boot, by the TSC    %10lu\n", s.boot_insns);
	printf("up                  %6lu.%03lu s\n", s.uptime_ns / 1000000000,
	       s.uptime_ns / 1000000 % 1000);
	return 0;
}
