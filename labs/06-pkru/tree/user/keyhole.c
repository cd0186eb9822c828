/*
 * keyhole - looks through a locked protection key. Status 1 if the kernel, on behalf of this process, got at a page
 * that the process has locked; 0 if not. The trick: the process sleeps inside a call, somebody with other rights runs
 * meanwhile, and the kernel then goes on in the name of the process before that returns to user mode.
 */
#include <xstate.h>
#include <lib.h>

enum { TRIES = 20, CLOSED = PKEY_DISABLE_ACCESS };

static char *page;			/* locked by `key` */
static int key, fds[2];

static void lock_page(void)
{
	key = (int)pkey_alloc(0, 0);
	page = (char *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pkey_mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE, key);
}

static void set_rights(uint32_t rights)
{
	wrpkru(pkru_with(rdpkru(), key, rights));
}

/* True if a read() into the locked page ever succeeded. */
static int sees_through(void)
{
	int found = 0;
	char drop[8];
	long pid = fork();

	if (pid == 0) {
		set_rights(0);
		for (int i = 0; i < TRIES; i++) {
			sleep_ms(2);
			write(fds[1], "public", 7);
		}
		exit(0);
	}
	set_rights(CLOSED);
	for (int i = 0; i < TRIES; i++) {
		if (read(fds[0], page, 7) > 0)
			found++;
		else
			read(fds[0], drop, 7);
	}
	wait4((int)pid, NULL, 0);
	return found > 0;
}

int main(void)
{
	if (!has_pkeys() || pipe(fds) < 0) {
		puts("keyhole: no protection keys here");
		return 2;
	}
	lock_page();
	if (!sees_through()) {
		puts("keyhole: nothing seen");
		return 0;
	}
	puts("keyhole: the kernel wrote to a page that I had locked");
	return 1;
}
