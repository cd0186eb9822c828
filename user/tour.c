/*
 * tour - shows who owns the vector registers, step by step: each step does something, then prints
 * what the kernel counted meanwhile and why a load was needed or could be avoided. It must never
 * say what the counters do not show; a check that fails makes the exit status 1.
 */
#include <xstate.h>

enum { DEFERRED = TARRY_POLICY_DEFERRED, EAGER = TARRY_POLICY_EAGER, LAZY = TARRY_POLICY_LAZY };
enum { QUIET_CALLS = 1000, SLEEPS = 20, IPC_CALLS = 1000, PACKETS = 1000, PACKET_SIZE = 256 };

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
	before = counters();
}

static void end(void)
{
	delta = counters();
	delta.fpu_saves -= before.fpu_saves;
	delta.fpu_loads -= before.fpu_loads;
	delta.fpu_loads_avoided -= before.fpu_loads_avoided;
	delta.fpu_init_loads -= before.fpu_init_loads;
	delta.fpu_traps -= before.fpu_traps;
	delta.fpu_sections -= before.fpu_sections;
	delta.fpu_sections_again -= before.fpu_sections_again;
	delta.entropy_vector -= before.entropy_vector;
	delta.context_switches -= before.context_switches;
	delta.ticks -= before.ticks;
}

/* The figures of the step, and whether they are what the text claims. */
static void show(int right)
{
	printf("  %s%lu saves, %lu loads, %lu %s%s", colour("\033[36m"), delta.fpu_saves,
	       delta.fpu_loads, delta.fpu_loads_avoided,
	       policy == EAGER ? "returns that found them loaded" : "loads avoided", colour("\033[0m"));
	if (delta.fpu_traps)
		printf(", %lu traps", delta.fpu_traps);
	if (delta.entropy_vector)
		printf(" (the timer used the registers %lu times, for entropy)", delta.entropy_vector);
	printf("%s\n", right ? "" : "  <- WRONG: not what the text above says");
	failed |= !right;
}

static void start_line(void)
{
	printf("%sWho owns the FPU?%s A tour with the kernel's own counters; policy: %s.\n",
	       colour("\033[1m"), colour("\033[0m"), policies[policy]);
	puts("A context is ACTIVE (only the registers are right), CACHED (registers and memory are)");
	puts("or INACTIVE (only memory is). A load is due when an INACTIVE task runs user code.");
}

static void show_calls(void)
{
	begin("1. Into the kernel and back, 1000 times");
	for (int i = 0; i < QUIET_CALLS; i++)
		getpid();
	end();
	puts("  The kernel uses no vector registers on the way: the task stays ACTIVE, nothing moves.");
	show(delta.fpu_saves + delta.fpu_loads <= 2 * (delta.context_switches + delta.entropy_vector));
}

static void show_sleep(void)
{
	begin("2. Sleep 20 times, nobody else runs");
	for (int i = 0; i < SLEEPS; i++)
		sleep_ms(1);
	end();
	puts("  Switched out: saved, ACTIVE to CACHED, so that nobody ever has to ask for the values.");
	puts("  Back: idle has touched no register, CACHED to ACTIVE. Each load is avoided.");
	show((policy == LAZY || delta.fpu_loads_avoided + delta.entropy_vector >= SLEEPS) &&
	     delta.fpu_loads <= delta.entropy_vector);
}

static void show_birth(void)
{
	char *argv[] = { "/bin/true", NULL };

	begin("3. Start a program and wait for its end");
	run(argv);
	end();
	puts("  fork: the parent is saved once and CACHED, the child is a copy in memory, INACTIVE.");
	puts("  exec and exit: the old values are dropped, not saved: nobody will ask for them.");
	if (policy == LAZY)
		puts("  lazy: loaded only if a vector instruction traps (#NM).");
	else
		puts("  Each first return to user mode of the child had to load: INACTIVE to ACTIVE.");
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
	printf("  %lu ticks, %lu switches. Each finds the other's values in the registers and must "
	       "load;\n", delta.ticks, delta.context_switches);
	printf("  both results are %s.\n", wrong ? "WRONG" : "right to the last bit");
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
	puts("  An ordinary one: client and server push each other's values out of the registers.");
	show(right && (policy == LAZY || delta.fpu_loads >= IPC_CALLS));
	right = call_server(spawn(integer));
	puts("  An integer-only one (marked in its ELF file; a vector instruction would kill it):");
	if (keep_mode)
		puts("  the client stays CACHED in the registers meanwhile, behind CR0.TS: no load at all.");
	else
		printf("  it runs on the initial image (%lu loads of that); --intonly ts avoids all of it.\n",
		       delta.fpu_init_loads);
	show(right && (!keep_mode || policy == LAZY ||
		       delta.fpu_loads_avoided + delta.entropy_vector >= IPC_CALLS));
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
	puts("  The first section saves us, ACTIVE to INACTIVE; the next find the kernel's own environment");
	printf("  in place and cost a test: %lu of them. One load on our way back.\n",
	       delta.fpu_sections_again);
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
		puts("7. No vault: this CPU has no protection keys.");
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
	printf("  A task that had closed it woke us; the kernel still copied with our keys: %ld bytes.\n",
	       allowed);
	printf("  PKRU changes hands at the switch itself. We close it: write() gives %ld (%s).\n",
	       refused, error_text(refused));
	show(allowed == 4 && refused == -EFAULT);
	munmap(vault, PAGE_SIZE);
	pkey_free(key);
	close(fds[0]);
	close(fds[1]);
	wrpkru(PKRU_DEFAULT);
}

/* run.py reads the last line and puts the other policies' beside it. */
static void show_summary(void)
{
	struct tarry_stats s = counters();
	uint64_t bytes = s.fpu_bytes_saved + s.fpu_bytes_loaded - start.fpu_bytes_saved -
			 start.fpu_bytes_loaded;

	printf("%sIn all%s%21s%15s%15s%15s%15s\n", colour("\033[1m"), colour("\033[0m"), "saves",
	       "loads", "free returns", "traps", "KB moved");
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
	show_summary();
	if (failed)
		puts("Something above is WRONG.");
	return failed;
}
