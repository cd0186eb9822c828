/*
 * buddy.c - the page allocator against a model: one byte a page that says who holds it. After every
 * step that matters the free lists are walked and compared with the model page by page.
 */
#include "host.h"

#include "kernel/buddy.c"

#define NPAGES 5000
#define MAX_BLOCKS 2048

enum { RESERVED, FREE, HELD };

struct block {
	u64 index;
	u32 order;
};

static struct buddy buddy;
static struct page pages[NPAGES + 1];
static u8 model[NPAGES];
static struct block held[MAX_BLOCKS];
static u32 nheld;

static int start_empty(void **state)
{
	memset(pages, 0, sizeof(pages));
	memset(model, RESERVED, sizeof(model));
	nheld = 0;
	buddy_init(&buddy, pages, NPAGES);
	return 0;
}

static void give(u64 first, u64 end)
{
	buddy_add_range(&buddy, first, end);
	memset(model + first, FREE, end - first);
}

static u64 model_free(void)
{
	u64 n = 0;

	for (u64 i = 0; i < NPAGES; i++)
		n += model[i] == FREE;
	return n;
}

/*
 * The free lists hold exactly the model's free pages, each once, in aligned blocks. If no two free
 * blocks are buddies of each other, everything that could be merged was.
 */
static void check_lists(void)
{
	static u8 seen[NPAGES];
	u64 total = 0;

	memset(seen, 0, sizeof(seen));
	for (u32 order = 0; order < BUDDY_ORDERS; order++) {
		struct page *page;

		list_for_each (page, &buddy.free[order], link) {
			u64 index = (u64)(page - pages), size = 1ul << order, other = index ^ size;

			assert_int_equal(index % size, 0);
			assert_true(index + size <= NPAGES);
			assert_int_equal(page->order, order);
			assert_int_equal(page->state, PAGE_FREE);
			for (u64 i = index; i < index + size; i++) {
				assert_int_equal(model[i], FREE);
				assert_int_equal(seen[i]++, 0);
			}
			if (order + 1 < BUDDY_ORDERS && other + size <= NPAGES)
				assert_false(pages[other].state == PAGE_FREE &&
					     pages[other].order == order);
			total += size;
		}
	}
	assert_int_equal(total, buddy.free_pages);
	assert_int_equal(total, model_free());
}

static bool take(u32 order)
{
	u64 index = buddy_alloc(&buddy, order), size = 1ul << order;

	if (index == ~0ul)
		return false;
	assert_int_equal(index % size, 0);
	assert_true(index + size <= NPAGES);
	for (u64 i = index; i < index + size; i++) {
		assert_int_equal(model[i], FREE);
		model[i] = HELD;
	}
	assert_true(nheld < MAX_BLOCKS);
	held[nheld++] = (struct block){ index, order };
	return true;
}

static void give_back(u32 which)
{
	struct block block = held[which];

	held[which] = held[--nheld];
	memset(model + block.index, FREE, 1ul << block.order);
	buddy_free(&buddy, block.index, block.order);
}

/* Fails if a block is handed out twice, out of range or unaligned, or if free pages are counted
 * wrongly. */
static void random_against_model(void **state)
{
	struct rng rng = { 20170301 };

	give(3, 1021);
	give(1024, 4999);
	for (u32 step = 0; step < 60000; step++) {
		bool full = nheld == MAX_BLOCKS;

		/* Long runs of taking and of giving back, so that both ends are reached. */
		if (nheld && (full || rng_below(&rng, 100) < (step / 4000 % 2 ? 70 : 30)))
			give_back((u32)rng_below(&rng, nheld));
		else
			take((u32)rng_below(&rng, rng_below(&rng, 8) ? 4 : BUDDY_ORDERS));
		if (step % 500 == 0)
			check_lists();
	}
	while (nheld)
		give_back((u32)rng_below(&rng, nheld));
	check_lists();
}

/* What the free lists looked like: number of blocks of each order. */
static void count_blocks(u64 count[BUDDY_ORDERS])
{
	for (u32 order = 0; order < BUDDY_ORDERS; order++) {
		struct page *page;

		count[order] = 0;
		list_for_each (page, &buddy.free[order], link)
			count[order]++;
	}
}

/* Fails if a free does not merge with its buddy: the blocks would stay small for ever. */
static void merges_back_to_the_initial_blocks(void **state)
{
	u64 before[BUDDY_ORDERS], after[BUDDY_ORDERS];
	struct rng rng = { 7 };

	give(1, 2000);
	count_blocks(before);
	while (nheld < MAX_BLOCKS && take(0))
		;
	assert_int_equal(buddy.free_pages, 0);
	assert_int_equal(nheld, 1999);
	while (nheld)
		give_back((u32)rng_below(&rng, nheld));
	count_blocks(after);
	assert_memory_equal(before, after, sizeof(before));
	check_lists();
}

/* Fails if an empty allocator, or one with only smaller blocks, answers with a page. */
static void exhaustion(void **state)
{
	for (u32 order = 0; order < BUDDY_ORDERS; order++)
		assert_false(take(order));
	give(8, 16);
	assert_false(take(4));
	assert_true(take(3));
	assert_false(take(0));
	give_back(0);
	assert_true(take(0));
	assert_false(take(3));
	assert_true(take(2));
	assert_int_equal(buddy.free_pages, 3);
	assert_false(take(BUDDY_ORDERS));
	check_lists();
}

/* Fails if a range is rounded the wrong way or two touching ranges don't become one. */
static void odd_ranges(void **state)
{
	static const u64 ranges[][2] = { { 0, 1 }, { 1, 2 },	  { 5, 7 },
					 { 7, 8 }, { 511, 1537 }, { 4097, 5000 } };

	give(100, 100);
	assert_int_equal(buddy.free_pages, 0);
	for (u32 i = 0; i < ARRAY_SIZE(ranges); i++) {
		give(ranges[i][0], ranges[i][1]);
		check_lists();
	}
	assert_int_equal(pages[0].order, 1); /* 0 and 1 came one by one and are one block */
}

/* Fails if the last pages look for a buddy behind the end of the array. */
static void end_of_memory(void **state)
{
	struct page *behind = &pages[NPAGES];

	behind->state = PAGE_FREE;
	behind->order = 3; /* a page that is not there offers itself as a buddy of 4992 + 8 */
	give(4992, 5000);
	assert_int_equal(pages[4992].order, 3);
	assert_true(take(3));
	give_back(0);
	check_lists();
	assert_int_equal(behind->state, PAGE_FREE);
}

/* Fails if blocks grow over the highest order. */
static void highest_order(void **state)
{
	u64 count[BUDDY_ORDERS];

	give(0, 4096);
	count_blocks(count);
	assert_int_equal(count[BUDDY_ORDERS - 1], 4);
	for (u32 i = 0; i < 4; i++)
		assert_true(take(BUDDY_ORDERS - 1));
	assert_false(take(0));
	while (nheld)
		give_back(0);
	check_lists();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(random_against_model, start_empty),
		cmocka_unit_test_setup(merges_back_to_the_initial_blocks, start_empty),
		cmocka_unit_test_setup(exhaustion, start_empty),
		cmocka_unit_test_setup(odd_ranges, start_empty),
		cmocka_unit_test_setup(end_of_memory, start_empty),
		cmocka_unit_test_setup(highest_order, start_empty),
	};

	return cmocka_run_group_tests_name("buddy", tests, NULL, NULL);
}
