/*
 * The packet encrypter: the loop that the thread of 2018 about kernel_fpu_end is about. Each packet is sealed in
 * an FPU section of its own, thousands in one stay in the kernel; with a kernel that restores nothing at the
 * end of a section only the first of them costs anything. The crypt call has it done in the caller's own
 * context, or by a kernel thread while the caller sleeps.
 *
 * A job lies on its caller's stack, so the caller stays until the worker has let go of it, killed or not.
 */
#include "fpu/kernel.h"
#include "kernel/crypto/aead.h"
#include "kernel/crypto/best.h"
#include "kernel/errno.h"
#include "kernel/memory.h"
#include "kernel/packets.h"
#include "kernel/panic.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/task.h"

#define COUNTING_WORD 8 /* offset in the nonce of the word that counts the packets */

struct job {
	struct tarry_crypt call;
	u8 *input, *output; /* output lies behind input */
	u8 aad[TARRY_CRYPT_MAX_AAD];
	const struct task *task; /* whose kill ends the job */
	long result;
	bool done; /* with lock */
	struct list link;
};

static LIST_HEAD(jobs);
static struct spinlock lock; /* guards jobs */
static struct wait_queue work, finished;
static u64 sealed;

static void seal_packet(struct job *job, const struct aead *aead, u8 *tag)
{
	if (job->call.flags & TARRY_CRYPT_SCALAR) {
		aead_seal(aead, job->output, tag, job->input, job->call.size);
		return;
	}
	kernel_fpu_begin();
	aead_seal(aead, job->output, tag, job->input, job->call.size);
	kernel_fpu_end();
}

static long seal_batch(struct job *job)
{
	struct tarry_crypt *call = &job->call;
	u32 first = load_u32(call->nonce + COUNTING_WORD);
	struct aead aead = {
		.xor = call->flags & TARRY_CRYPT_SCALAR ? chacha20_xor : crypto_best.xor,
		.key = call->key,
		.nonce = call->nonce,
		.aad = job->aad,
		.aad_size = call->aad_size,
	};
	u8 tag[AEAD_TAG];

	memset(call->tags, 0, sizeof(call->tags));
	for (u32 i = 0; i < call->packets; i++) {
		if (job->task->flags & TASK_KILLED)
			return -EINTR;
		store_u32(call->nonce + COUNTING_WORD, first + i);
		seal_packet(job, &aead, tag);
		for (u32 k = 0; k < sizeof(tag); k++)
			call->tags[k] ^= tag[k];
		__atomic_fetch_add(&sealed, 1, __ATOMIC_RELAXED);
	}
	return 0;
}

static struct job *next_job(void)
{
	struct job *job = NULL;

	spin_lock(&lock);
	if (!list_empty(&jobs)) {
		job = list_first(&jobs, struct job, link);
		list_del(&job->link);
	}
	spin_unlock(&lock);
	return job;
}

static void worker(void *arg)
{
	(void)arg;
	for (;;) {
		struct job *job;

		wait_event(&work, !list_empty(&jobs));
		job = next_job();
		job->result = seal_batch(job);
		__atomic_store_n(&job->done, true, __ATOMIC_RELEASE); /* from here on it may be gone */
		wake_all(&finished);
	}
}

static long seal_by_worker(struct job *job)
{
	struct waiter waiter = { .task = NULL };

	spin_lock(&lock);
	list_add_before(&job->link, &jobs);
	spin_unlock(&lock);
	wake_one(&work);
	for (;;) {
		wait_prepare(&finished, &waiter);
		if (__atomic_load_n(&job->done, __ATOMIC_ACQUIRE))
			break;
		schedule();
	}
	wait_finish(&finished, &waiter);
	return job->result;
}

void packets_init(void)
{
	wait_queue_init(&work);
	wait_queue_init(&finished);
	if (!kthread_create("packets", worker, NULL))
		panic("no memory for the packet encrypter");
}

u64 packets_sealed(void)
{
	return sealed;
}

static long check(const struct tarry_crypt *call)
{
	if (call->flags & ~(TARRY_CRYPT_WORKER | TARRY_CRYPT_SCALAR) || !call->packets ||
	    call->packets > TARRY_CRYPT_MAX_PACKETS || call->size > TARRY_CRYPT_MAX_SIZE ||
	    call->aad_size > TARRY_CRYPT_MAX_AAD)
		return -EINVAL;
	return 0;
}

/* With the buffers in place. */
static long run(struct job *job, u64 user_call)
{
	struct tarry_crypt *call = &job->call;
	long error;

	if (copy_from_user(job->input, call->input, call->size) || copy_from_user(job->aad, call->aad, call->aad_size))
		return -EFAULT;
	error = call->flags & TARRY_CRYPT_WORKER ? seal_by_worker(job) : seal_batch(job);
	if (error)
		return error;
	if (call->output && copy_to_user(call->output, job->output, call->size))
		return -EFAULT;
	return copy_to_user(user_call + offsetof(struct tarry_crypt, tags), call->tags, sizeof(call->tags));
}

long sys_tarry_crypt(u64 user_call)
{
	struct job job = { .task = current };
	long error;

	if (copy_from_user(&job.call, user_call, sizeof(job.call)))
		return -EFAULT;
	error = check(&job.call);
	if (error)
		return error;
	job.input = kmalloc(2 * TARRY_CRYPT_MAX_SIZE);
	if (!job.input)
		return -ENOMEM;
	job.output = job.input + TARRY_CRYPT_MAX_SIZE;
	error = run(&job, user_call);
	kfree(job.input);
	wipe(&job, sizeof(job));
	return error;
}
