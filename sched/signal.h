/* Signals, as far as they exist: the default action, for the process as a whole. See signal.c. */
#ifndef SCHED_SIGNAL_H
#define SCHED_SIGNAL_H

#define SIGINT 2
#define SIGILL 4
#define SIGTRAP 5
#define SIGABRT 6
#define SIGBUS 7
#define SIGFPE 8
#define SIGKILL 9
#define SIGUSR1 10
#define SIGSEGV 11
#define SIGUSR2 12
#define SIGPIPE 13
#define SIGALRM 14
#define SIGCHLD 17
#define SIGCONT 18
#define SIGSTOP 19
#define SIGTSTP 20
#define SIGTTIN 21
#define SIGTTOU 22
#define SIGURG 23
#define SIGVTALRM 26
#define SIGPROF 27
#define SIGWINCH 28
#define SIGIO 29
#define SIGRTMIN 32
#define SIGNALS 64

/* The current process ends with this signal when it next leaves the kernel. */
void signal_force(int signal);

/* The default action of signal for every process of the group. Any context. */
void signal_group(int pgid, int signal);

#endif
