/*
 * ipc - call and reply-wait between tasks. Catches: words mixed up or lost, a reply that
 * goes to the wrong caller, callers served out of turn or never, tasks that sleep for
 * ever because the other side is gone.
 */
#include "ktap.h"

#define NEED_IPC() do {							\
	uint64_t probe[TARRY_IPC_WORDS] = { 0 };			\
	if (ipc_call(0x3fffffff, probe) == -ENOSYS)			\
		SKIP("only Tarry has IPC");				\
} while (0)

/* Every word depends on every other, so a swapped or stale word shows. */
static void mix(uint64_t m[TARRY_IPC_WORDS])
{
	for (int i = 0; i < TARRY_IPC_WORDS; i++)
		m[i] = (m[i] ^ m[(i + 1) % TARRY_IPC_WORDS] >> 7) * 0x9e3779b97f4a7c15 + (uint64_t)i;
}

/* Answers until killed; errors of dead callers are passed over. */
static void serve(void)
{
	uint64_t m[TARRY_IPC_WORDS] = { 0 };
	long caller = 0;

	for (;;) {
		caller = ipc_reply_wait((int)caller, m);
		if (caller == -ESRCH)
			caller = 0;
		else if (caller < 0)
			exit(1);
		else
			mix(m);
	}
}

static int start_server(void (*f)(void))
{
	long pid = fork();

	if (pid == 0) {
		f();
		exit(0);
	}
	return (int)pid;
}

static void stop(int pid)
{
	kill(pid, SIGKILL);
	wait4(pid, NULL, 0);
}

/* `rounds` calls with fresh numbers; the number of wrong answers. */
static int call_many(int server, uint64_t seed, int rounds)
{
	int wrong = 0;

	for (int i = 0; i < rounds; i++) {
		uint64_t m[TARRY_IPC_WORDS] = { seed, seed + 1, (uint64_t)i, ~seed, 5 };
		uint64_t expected[TARRY_IPC_WORDS];

		memcpy(expected, m, sizeof(m));
		mix(expected);
		wrong += ipc_call(server, m) != 0 || memcmp(m, expected, sizeof(m)) != 0;
	}
	return wrong;
}

static void test_round_trips(void)
{
	int server;

	NEED_IPC();
	server = start_server(serve);
	EXPECT_EQ(call_many(server, 0xfeedface12345678, 1000), 0);
	stop(server);
}

/* Catches: a reply handed to another caller; a queue of callers that forgets one. */
static void test_many_callers(void)
{
	int server, status;

	NEED_IPC();
	server = start_server(serve);
	for (uint64_t c = 0; c < 8; c++)
		if (fork() == 0)
			exit(call_many(server, c * 1000003, 200) != 0);
	for (int c = 0; c < 8; c++) {
		wait4(-1, &status, 0);
		EXPECT_EQ(status, 0);
	}
	stop(server);
}

static void test_errors(void)
{
	uint64_t m[TARRY_IPC_WORDS] = { 1, 2, 3, 4, 5 };
	long pid;

	NEED_IPC();
	EXPECT_EQ(ipc_call(0x3fffffff, m), -ESRCH);
	EXPECT_EQ(ipc_call(0, m), -ESRCH);
	EXPECT_EQ(ipc_call(-1, m), -ESRCH);
	EXPECT_EQ(ipc_call((int)getpid(), m), -EDEADLK);
	EXPECT_EQ(m[0] + m[1] * 10 + m[2] * 100 + m[3] * 1000 + m[4] * 10000, 54321);
	EXPECT_EQ(ipc_reply_wait(0x3fffffff, m), -ESRCH);
	EXPECT_EQ(ipc_reply_wait((int)getppid(), m), -ESRCH);	/* it has not called us */
	pid = fork();
	if (pid == 0)
		exit(0);
	sleep_ms(30);
	EXPECT_EQ(ipc_call((int)pid, m), -ESRCH);		/* a zombie serves nobody */
	wait4((int)pid, NULL, 0);
}

static void die_after_taking(void)
{
	uint64_t m[TARRY_IPC_WORDS];

	ipc_reply_wait(0, m);
	exit(0);
}

static void never_take(void)
{
	sleep_ms(60);
	exit(0);
}

/* Catches: a client asleep for ever because its server ended. */
static void test_server_death(void)
{
	uint64_t m[TARRY_IPC_WORDS] = { 0 };
	int server;

	NEED_IPC();
	server = start_server(die_after_taking);
	EXPECT_EQ(ipc_call(server, m), -ESRCH);
	wait4(server, NULL, 0);
	server = start_server(never_take);
	EXPECT_EQ(ipc_call(server, m), -ESRCH);
	wait4(server, NULL, 0);
	server = start_server(serve);
	sleep_ms(10);
	if (fork() == 0) {
		sleep_ms(20);
		kill(server, SIGKILL);
		exit(0);
	}
	while (ipc_call(server, m) == 0)
		;
	wait4(-1, NULL, 0);
	wait4(-1, NULL, 0);
}

static void serve_slowly(void)
{
	uint64_t m[TARRY_IPC_WORDS];
	long caller = ipc_reply_wait(0, m);

	sleep_ms(80);				/* the caller is killed meanwhile */
	if (ipc_reply_wait((int)caller, m) != -ESRCH)
		exit(1);
	caller = ipc_reply_wait(0, m);		/* and the server goes on */
	m[0] = 1234;
	ipc_reply_wait((int)caller, m);
	exit(2);
}

/* Catches: a reply written into a task that is gone; a server stuck with it. */
static void test_client_death(void)
{
	uint64_t m[TARRY_IPC_WORDS] = { 0 };
	int server;
	long client;

	NEED_IPC();
	server = start_server(serve_slowly);
	client = fork();
	if (client == 0) {
		ipc_call(server, m);
		exit(0);
	}
	sleep_ms(30);
	stop((int)client);
	sleep_ms(80);
	EXPECT_EQ(ipc_call(server, m), 0);
	EXPECT_EQ(m[0], 1234);
	stop(server);
}

static int next_server;

/* Adds one and asks the next server, which does the same. */
static void serve_nested(void)
{
	uint64_t m[TARRY_IPC_WORDS] = { 0 };
	long caller = 0;

	for (;;) {
		caller = ipc_reply_wait((int)caller, m);
		if (caller < 0)
			exit(1);
		m[0]++;
		if (next_server && ipc_call(next_server, m) != 0)
			exit(1);
	}
}

/* Catches: one "who is waiting for me" where a chain needs one each. */
static void test_nested(void)
{
	uint64_t m[TARRY_IPC_WORDS] = { 100 };
	int servers[5];

	NEED_IPC();
	next_server = 0;
	for (int i = 0; i < 5; i++) {
		servers[i] = start_server(serve_nested);
		next_server = servers[i];
	}
	for (int i = 0; i < 100; i++) {
		m[0] = (uint64_t)i;
		m[4] = 77;
		EXPECT_EQ(ipc_call(servers[4], m), 0);
		EXPECT_EQ(m[0], i + 5);
		EXPECT_EQ(m[4], 77);
	}
	for (int i = 0; i < 5; i++)
		stop(servers[i]);
}

/* A caller that waits for its turn must die of a signal like any sleeper. */
static void test_kill_waiting(void)
{
	uint64_t m[TARRY_IPC_WORDS] = { 0 };
	int server, status = 0;
	long client;

	NEED_IPC();
	server = start_server(never_take);
	client = fork();
	if (client == 0) {
		ipc_call(server, m);
		exit(0);
	}
	sleep_ms(20);
	kill((int)client, SIGKILL);
	wait4((int)client, &status, 0);
	EXPECT_EQ(status, SIGKILL);
	wait4(server, NULL, 0);
}

static const struct ktap_test tests[] = {
	{ "1000 round trips", test_round_trips }, { "many callers", test_many_callers },
	{ "errors", test_errors }, { "the server dies", test_server_death },
	{ "the client dies", test_client_death }, { "servers that call servers", test_nested },
	{ "a waiting caller is killed", test_kill_waiting },
};

KTAP_MAIN(tests)
