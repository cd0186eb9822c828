/*
 * lib.h - the small library behind every program: output, strings, memory, processes.
 *
 * Only what more than one program uses. Output is not buffered: one printf is one write,
 * so fork never doubles a line.
 */
#ifndef LIB_H
#define LIB_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <calls.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define PAGE_SIZE	4096UL

/* start.c */
extern char **environ;
extern const uint64_t *aux_vector;
const char *getenv(const char *name);
uint64_t getauxval(uint64_t type);

/* print.c: %d %i %u %x %X %p %c %s %f %%, with -, 0, width, .precision, l, ll, z */
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int dprintf(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
int vdprintf(int fd, const char *format, va_list ap);
int snprintf(char *buf, size_t n, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *buf, size_t n, const char *format, va_list ap);
void puts(const char *s);

/* string.c */
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *part);
char *strcpy(char *to, const char *from);
int atoi(const char *s);
int parse_number(const char *s, uint64_t *value);	/* whole string, else -EINVAL */
const char *error_text(long error);			/* positive or negative number */
const char *signal_text(int signal);

/* malloc.c */
void *malloc(size_t n);
void *calloc(size_t count, size_t n);
void *realloc(void *p, size_t n);
void free(void *p);

/* file.c */
struct line_reader {
	int fd;
	size_t start, end;
	char buf[4096];
};
long write_all(int fd, const void *buf, size_t n);
long read_full(int fd, void *buf, size_t n);		/* fewer only at end of file */
long read_line(struct line_reader *r, char *line, size_t n);	/* length + 1, 0 at the end */
int open_or_complain(const char *program, const char *path);	/* "-" is fd 0 */

/* process.c */
int exec_path(char *const argv[]);			/* looks through PATH; returns an error */
int run(char *const argv[]);				/* fork, exec, wait: exit status, 128+signal */
int wait_status(int pid);				/* exit status, 128+signal, or an error */
void sleep_ms(uint64_t ms);
uint64_t now_ns(void);
struct cpuid { uint32_t eax, ebx, ecx, edx; };
struct cpuid cpuid(uint32_t leaf, uint32_t subleaf);

/* clone.asm */
long clone_thread(long flags, void *stack, int *ptid, int *ctid, void *tls,
		  int (*function)(void *), void *argument);

#endif
