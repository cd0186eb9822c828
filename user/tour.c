/*
 * tour - shows who owns the vector registers, step by step: each step does something, then prints
 * the transitions that are new in it, and what the kernel counted meanwhile. A transition is told
 * once, where it first happens under this policy. It must never say what the counters do not show;
 * a check that fails makes the exit status 1.
 */
#include <enqcmd.h>
#include <rare.h>
#include <xstate.h>

enum { DEFERRED = TARRY_POLICY_DEFERRED, EAGER = TARRY_POLICY_EAGER, LAZY = TARRY_POLICY_LAZY };
enum { QUIET_CALLS = 1000, SLEEPS = 20, IPC_CALLS = 1000, PACKETS = 1000, PACKET_SIZE = 256,
       NAPS = 5, MOST_NAPS = 500, COMMANDS = 10, STEPS = 1000 };

static const char *const policies[] = { "deferred", "eager", "lazy" };
static int policy, keep_mode, colours, failed;
static struct tarry_stats start, before, delta;

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

static void find_options(void)
{
	struct termios t = { 0 };

	policy = (int)start.policy;
	keep_mode = start.keep_registers != 0;
	colours = ioctl(1, TCGETS, &t) == 0 && t.c_lflag & TTY_ECHO;	/* a person's terminal */
}

static const char *colour(const char *code)
{
	return colours ? code : "";
}

static void begin(const char *title)
{
	printf("%s%s%s\n", colour("\033[1m"), title, colour("\033[0m"));
	__asm__ volatile("movaps %xmm0, %xmm0");	/* a use: now they are ours under lazy, too */
	before = counters();
}

static void end(void)
{
	delta = counters();
	delta.fpu_saves -= before.fpu_saves;
	delta.fpu_loads -= before.fpu_loads;
	delta.fpu_loads_avoided -= before.fpu_loads_avoided;
	delta.fpu_init_loads -= before.fpu_init_loads;
	delta.fpu_bytes_saved -= before.fpu_bytes_saved;
	delta.pasid_populated -= before.pasid_populated;
	delta.fpu_traps -= before.fpu_traps;
	delta.fpu_sections -= before.fpu_sections;
	delta.fpu_sections_again -= before.fpu_sections_again;
	delta.entropy_vector -= before.entropy_vector;
	delta.context_switches -= before.context_switches;
	delta.ticks -= before.ticks;
}

/* One line for a transition of a context: what makes it happen, and why it costs what it costs. */
static void tell(const char *event, const char *from, const char *to, const char *why)
{
	printf("  %s%-13s%8s to %-8s%s  %s\n", colour("\033[33m"), event, from, to, colour("\033[0m"),
	       why);
}

static void print_count(uint64_t n, const char *what)
{
	printf("%lu %s%s", n, what, n == 1 ? "" : "s");
}

/* The figures of the step, and whether they are what the text claims. */
static void show(int right)
{
	printf("  %s", colour("\033[36m"));
	print_count(delta.fpu_saves, "save");
	printf(", ");
	print_count(delta.fpu_loads, "load");
	if (policy != EAGER)
		printf(", %lu avoided", delta.fpu_loads_avoided);
	if (delta.fpu_traps) {
		printf(", ");
		print_count(delta.fpu_traps, "trap");
	}
	printf("%s", colour("\033[0m"));
	if (delta.entropy_vector) {
		printf(" (the timer used the registers ");
		print_count(delta.entropy_vector, "time");
		printf(", for entropy)");
	}
	puts(right ? "" : "  <- WRONG: not what the text above says");
	failed |= !right;
}

static void start_line(void)
{
	static const char *const when[] = {
		"deferred loads at the last moment: on the way to user mode, if others' values are there.",
		"eager loads when a task gets the CPU, and again when the kernel has used the registers.",
		"lazy loads when the task's first vector instruction traps (#NM), which CR0.TS makes it do.",
	};

	printf("%sWho owns the FPU?%s A tour with the kernel's own counters; policy: %s.\n",
	       colour("\033[1m"), colour("\033[0m"), policies[policy]);
	puts("The values of a task's vector registers are right in the registers only (ACTIVE), in");
	puts("the registers and in memory (CACHED), or in memory only (INACTIVE). Every policy saves");
	puts("them when the task leaves the CPU. To load them is what can often be avoided:");
	puts(when[policy]);
}

static void show_calls(void)
{
	begin("1. Into the kernel and back, 1000 times");
	for (int i = 0; i < QUIET_CALLS; i++)
		getpid();
	end();
	puts("  The kernel uses no vector registers on the way: we stay ACTIVE, and nothing moves.");
	show(delta.fpu_saves + delta.fpu_loads <= 2 * (delta.context_switches + delta.entropy_vector));
}

static void show_sleep(void)
{
	begin("2. Sleep 20 times, nobody else runs");
	for (int i = 0; i < SLEEPS; i++)
		sleep_ms(1);
	end();
	tell("switch-out", "ACTIVE", "CACHED", "saved: nobody will ever have to ask us for the values");
	tell("way to user", "CACHED", "ACTIVE", policy == EAGER ?
	     "even eager found nothing to load: idle touches no register" :
	     "load avoided: idle has touched no register");
	if (delta.entropy_vector)
		puts(policy == LAZY ?
		     "  Once the timer has used the registers, we go on without ours: no trap, no load." :
		     "  When the timer has used the registers, we must load on the way back.");
	show((policy != DEFERRED || delta.fpu_loads_avoided + delta.entropy_vector >= delta.fpu_saves) &&
	     delta.fpu_loads <= delta.entropy_vector);
}

static void show_birth(void)
{
	char *argv[] = { "/bin/true", NULL };

	begin("3. Start a program and wait for its end");
	run(argv);
	end();
	tell("fork", "ACTIVE", "CACHED", "saved, for the child copies memory; registers kept");
	tell("birth", "NONE", "INACTIVE", "the child's values are in memory only");
	if (policy == DEFERRED)
		tell("way to user", "INACTIVE", "ACTIVE", "loaded: child, new program, and we again after both");
	if (policy == EAGER)
		tell("switch-in", "INACTIVE", "CACHED", "loaded: child, new program, and we again after both");
	if (policy == LAZY)
		puts("  CR0.TS is set for the child; it uses no vector register, so nothing is loaded.");
	tell("exec", policy == LAZY ? "INACTIVE" : "ACTIVE", "INACTIVE",
	     "not saved: nobody will ask for the old program's values");
	tell("exit", policy == LAZY ? "INACTIVE" : "ACTIVE", "NONE", "not saved either");
	show(delta.fpu_saves >= 1 && (policy == LAZY || delta.fpu_loads >= 2));
}

static long spawn(char *const argv[])
{
	long pid = fork();

	if (pid == 0) {
		exec_path(argv);
		exit(127);
	}
	return pid;
}

static void show_compute(void)
{
	char *draw[] = { "mandelbrot", NULL }, *check[] = { "mandelbrot", "-q", NULL };
	char *matrix[] = { "matrix", NULL };
	int wrong = 0;
	long pids[2];

	run(draw);
	begin("4. That Mandelbrot set again, and a matrix product, at the same time");
	pids[0] = spawn(check);
	pids[1] = spawn(matrix);
	for (int i = 0; i < 2; i++)
		wrong += wait_status((int)pids[i]) != 0;
	end();
	if (policy == LAZY)
		tell("#NM", "INACTIVE", "ACTIVE", "loaded: the first vector instruction has trapped");
	printf("  %lu ticks, %lu switches: each finds the other's values in the registers and loads its\n"
	       "  own; both results are %s.\n", delta.ticks, delta.context_switches,
	       wrong ? "WRONG" : "right to the last bit");
	show(!wrong && delta.fpu_loads >= 2);
}

/* An ordinary server: a child of the tour with vector registers of its own. */
static void serve(void)
{
	uint64_t m[TARRY_IPC_WORDS] = { 0 };
	long caller = 0;

	for (;;) {
		caller = ipc_reply_wait((int)caller, m);
		if (caller < 0)
			exit(1);
		m[4] = m[0] + m[1] + m[2] + m[3];
	}
}

static int call_server(long server)
{
	int wrong = 0;

	sleep_ms(2);
	before = counters();
	for (uint64_t i = 0; i < IPC_CALLS; i++) {
		uint64_t m[TARRY_IPC_WORDS] = { i, 2 * i, 3 * i, 4 * i, 0 };

		wrong += ipc_call((int)server, m) != 0 || m[4] != 10 * i;
	}
	end();
	kill((int)server, SIGKILL);
	wait_status((int)server);
	return wrong == 0;
}

static void tell_integer_server(void)
{
	puts("  An integer-only one (marked in its ELF file; a vector instruction would kill it):");
	if (keep_mode)
		puts("  our values stay in the registers meanwhile, behind CR0.TS: nothing to load.");
	else if (policy == LAZY)
		puts("  it runs on the initial image, loaded once; we go on without our registers.");
	else
		printf("  it runs on the initial image (loaded %lu times) and we must load after it.\n"
		       "  With --intonly ts neither would be.\n", delta.fpu_init_loads);
}

static void show_servers(void)
{
	char *integer[] = { "intserver", NULL };
	long server;
	int right;

	begin("5. Call a server 1000 times");
	server = fork();
	if (server == 0)
		serve();
	right = call_server(server);
	puts(policy == LAZY ?
	     "  An ordinary one, which uses no vector register now: so it loads none, and ours stay." :
	     "  An ordinary one: client and server push each other's values out of the registers.");
	show(right && (policy == LAZY || delta.fpu_loads >= IPC_CALLS));
	right = call_server(spawn(integer));
	tell_integer_server();
	if (keep_mode)
		right &= delta.fpu_loads <= delta.entropy_vector;
	else if (policy != LAZY)
		right &= delta.fpu_loads >= IPC_CALLS && delta.fpu_init_loads >= IPC_CALLS;
	show(right);
}

/* The loop of 2018: begin, encrypt, end, a thousand times in one stay in the kernel. */
static void show_packets(void)
{
	static unsigned char packet[PACKET_SIZE];
	struct tarry_crypt call = { .input = (uint64_t)packet, .size = PACKET_SIZE, .packets = PACKETS };
	long error;

	begin("6. The kernel encrypts 1000 packets, each in an FPU section of its own");
	error = crypt(&call);
	end();
	tell("kernel begin", "ACTIVE", "INACTIVE", "saved: the kernel will overwrite the only copy");
	if (policy == EAGER) {
		tell("kernel end", "INACTIVE", "CACHED", "loaded again, needed or not: 1000 times");
		tell("kernel begin", "CACHED", "INACTIVE", "the next section; memory is right, nothing to save");
	} else {
		printf("  The end of a section loads nothing, so %lu more found the kernel's own values in place:\n"
		       "  a test each. %s\n", delta.fpu_sections_again, policy == LAZY ?
		       "We come back without our registers: CR0.TS." : "One load, on our way back.");
	}
	show(!error && delta.fpu_sections_again + delta.fpu_sections >= PACKETS &&
	     (policy == EAGER || delta.fpu_loads <= 1 + delta.context_switches + delta.entropy_vector));
}

/* The vault's owner opens it, sleeps, and finds it open; a second task keeps it closed. */
static void show_vault(void)
{
	int key = (int)pkey_alloc(0, 0), fds[2];
	long pid, refused, allowed;
	char *vault;

	if (key < 0) {
		puts("7. No vault: there are no protection keys here.");
		return;
	}
	begin("7. A vault: a page under a protection key");
	vault = (char *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	pkey_mprotect(vault, PAGE_SIZE, PROT_READ | PROT_WRITE, key);
	strcpy(vault, "gold");
	pipe(fds);
	pid = fork();
	if (pid == 0) {
		wrpkru(pkru_with(rdpkru(), key, PKEY_DISABLE_ACCESS));
		sleep_ms(2);
		write(fds[1], "coin", 4);
		exit(*(volatile char *)vault);		/* it has closed the vault: this kills it */
	}
	allowed = read(fds[0], vault, 4);
	wrpkru(pkru_with(rdpkru(), key, PKEY_DISABLE_ACCESS));
	refused = write(fds[1], vault, 4);
	wait_status((int)pid);
	end();
	printf("  Its rights are in PKRU, a register too. A task that had closed the vault woke us, and the\n"
	       "  kernel copied %ld bytes into it for us: PKRU changes hands at the switch itself, before\n"
	       "  anything is loaded. That task then looked inside, and was killed. We close it, too: now\n"
	       "  write() from it gives %ld (%s).\n", allowed, refused, error_text(refused));
	show(allowed == 4 && refused == -EFAULT);
	munmap(vault, PAGE_SIZE);
	pkey_free(key);
	close(fds[0]);
	close(fds[1]);
	wrpkru(PKRU_DEFAULT);
}

/* Bytes that a save moved while we took naps, on the average. A nap may be over before it begins. */
static uint64_t bytes_of_save(void)
{
	before = counters();
	delta.fpu_saves = 0;
	for (int i = 0; i < MOST_NAPS && delta.fpu_saves < NAPS; i++) {
		__asm__ volatile("movaps %xmm0, %xmm0");	/* under lazy, too, there shall be something to save */
		sleep_ms(1);
		end();
	}
	return delta.fpu_saves ? delta.fpu_bytes_saved / delta.fpu_saves : 0;
}

/* The signal that ends a child which uses a tile; 0: it lives. */
static int signal_for_tile(const uint8_t *row)
{
	long pid = fork();
	int status;

	if (pid == 0) {
		load_tile(row);
		exit(0);
	}
	status = wait_status((int)pid);
	return status > 128 ? status - 128 : 0;
}

static void show_tile(void)
{
	uint8_t row[TILE_BYTES], back[TILE_BYTES] = { 0 };
	uint64_t without, with, released;
	int refused, whole;

	for (int i = 0; i < TILE_BYTES; i++)
		row[i] = (uint8_t)(3 * i + 1);
	begin("8. The first use of a tile: 8 KiB of matrix registers (AMX)");
	refused = signal_for_tile(row);
	if (request_tiles()) {
		puts("  None here: the processor has none, and its XSAVES is not the model.");
		return;
	}
	without = bytes_of_save();
	load_tile(row);
	with = bytes_of_save();
	store_tile(back);
	whole = memcmp(row, back, sizeof(row)) == 0;
	tilerelease();
	released = bytes_of_save();
	tell("first use", "ACTIVE", "ACTIVE", "a larger fpstate takes the place of ours: nothing is copied");
	printf("  A child that did not ask for permission was killed by signal %d. We asked, and used one:\n"
	       "  #NM, for IA32_XFD was armed. A save moved %lu bytes before, %lu with a tile in use, and\n"
	       "  %lu after its release. The tile came back %s each time.\n", refused, without, with, released,
	       whole ? "whole" : "changed");
	show(refused == SIGILL && whole && with >= without + 8192 / 2 && released + 8192 / 2 <= with);
}

static void show_pasid(void)
{
	static struct tarry_completion record __attribute__((aligned(32)));
	struct tarry_descriptor command = noop_command(&record);
	long address = pasid_bind();
	const volatile struct tarry_portal *portal = (const volatile struct tarry_portal *)address;

	if (address < 0) {
		puts("9. No device to send commands to: there is no PASID here.");
		return;
	}
	begin("9. Ten commands to a device that asks nobody who we are");
	for (int i = 0; i < COMMANDS; i++)
		enqcmd_wait((const struct tarry_portal *)address, &command);
	end();
	printf("  ENQCMD tells it, from a register: PASID. Ours was initial, so the first one raised #GP, and\n"
	       "  the kernel set this one component, while all others stayed where they were: %lu time for\n"
	       "  %lu commands. The device has them from PASID %u.\n", delta.pasid_populated, portal->commands,
	       portal->pasid);
	show(delta.pasid_populated == 1 && portal->commands == COMMANDS && portal->pasid &&
	     record.status == TARRY_WQ_SUCCESS);
}

static void show_guest(void)
{
	struct guest_sum *sum = (struct guest_sum *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
							 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct tarry_vcpu_exit exit = { 0 };
	double kept = 42, expected = 1;
	long guest, result;

	*sum = (struct guest_sum){ 1, 1.0078125 };
	for (int i = 0; i < STEPS; i++)
		expected *= sum->factor;
	guest = make_guest(sum);
	begin("10. A guest: code in our place, with registers of its own");
	result = run_guest(guest, STEPS, &kept);
	end();
	vcpu_exit_info(guest, &exit);
	close((int)guest);
	tell("vcpu enter", "ACTIVE", "CACHED", "our values are saved and parked");
	tell("vcpu exit", "ACTIVE", "CACHED", "the guest's are saved");
	printf("  It multiplied %d times in the register where we have %d, and asked the kernel for the time\n"
	       "  after each: %lu returns to it, and nothing was loaded for them. Its product is %s; we\n"
	       "  still have %d.\n", STEPS, (int)kept, exit.resumed, sum->value == expected ? "right" : "WRONG",
	       (int)kept);
	show(result == TARRY_VCPU_HYPERCALL && kept == 42 && sum->value == expected && exit.resumed &&
	     delta.fpu_loads <= 2 * (1 + delta.context_switches + delta.entropy_vector));
	munmap(sum, PAGE_SIZE);
}

/* run.py reads the last line and puts the other policies' beside it. */
static void show_summary(void)
{
	struct tarry_stats s = counters();
	uint64_t bytes = s.fpu_bytes_saved + s.fpu_bytes_loaded - start.fpu_bytes_saved -
			 start.fpu_bytes_loaded;

	printf("%sIn all%s%21s%15s%15s%15s%15s\n", colour("\033[1m"), colour("\033[0m"), "saves",
	       "loads", "avoided", "traps", "KB moved");
	printf("  %-10s%15lu%15lu%15lu%15lu%15lu\n", policies[policy], s.fpu_saves - start.fpu_saves,
	       s.fpu_loads - start.fpu_loads, s.fpu_loads_avoided - start.fpu_loads_avoided,
	       s.fpu_traps - start.fpu_traps, bytes / 1024);
}

int main(void)
{
	start = counters();
	find_options();
	start_line();
	show_calls();
	show_sleep();
	show_birth();
	show_compute();
	show_servers();
	show_packets();
	show_vault();
	show_tile();
	show_pasid();
	show_guest();
	show_summary();
	if (failed)
		puts("Something above is WRONG.");
	return failed;
}
