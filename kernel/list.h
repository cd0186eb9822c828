/*
 * Doubly linked circular lists with the links inside the objects. A head is a struct list too; an
 * empty head points to itself. No locking: the list's owner says which lock covers it.
 */
#ifndef KERNEL_LIST_H
#define KERNEL_LIST_H

#include "kernel/types.h"

struct list {
	struct list *next, *prev;
};

#define LIST_HEAD(name) struct list name = { &(name), &(name) }

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

/* Puts item in front of pos; with a head as pos this appends to the list. */
static inline void list_add_before(struct list *item, struct list *pos)
{
	item->next = pos;
	item->prev = pos->prev;
	pos->prev->next = item;
	pos->prev = item;
}

static inline void list_add_after(struct list *item, struct list *pos)
{
	list_add_before(item, pos->next);
}

/* Takes item off its list and leaves it an empty list, so that removing twice is harmless. */
static inline void list_del(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

#define list_entry(item, type, member) container_of(item, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)

#define list_for_each(pos, head, member)                                                           \
	for (pos = list_first(head, __typeof__(*pos), member); &pos->member != (head);             \
	     pos = list_first(&pos->member, __typeof__(*pos), member))

/* As list_for_each; pos may be removed in the body. */
#define list_for_each_safe(pos, tmp, head, member)                                                 \
	for (pos = list_first(head, __typeof__(*pos), member),                                     \
	    tmp = list_first(&pos->member, __typeof__(*pos), member);                              \
	     &pos->member != (head);                                                               \
	     pos = tmp, tmp = list_first(&tmp->member, __typeof__(*tmp), member))

#endif
