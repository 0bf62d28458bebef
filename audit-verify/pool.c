/* SPDX-License-Identifier: Apache-2.0 */
#include "audit-verify/pool.h"

#include <pthread.h>
#include <string.h>

#define SLOTS_MAX (2 * KT_POOL_THREADS_MAX)

enum slot_state { SLOT_WAITS, SLOT_TAKEN, SLOT_DONE };

struct slot {
	struct kt_unit *unit;
	enum slot_state state;
};

struct kt_pool {
	const struct kt_unit_wishes *wishes; /* borrowed */
	pthread_mutex_t lock;
	pthread_cond_t wake; /* there is work, or an end, or something is done */
	pthread_t threads[KT_POOL_THREADS_MAX];
	unsigned thread_count;
	struct slot slots[SLOTS_MAX]; /* a ring, in order */
	size_t first, count, room;
	bool stop;
};

/* The oldest one that waits; with the lock held. */
static struct slot *find_waiting(struct kt_pool *pool)
{
	for (size_t i = 0; i < pool->count; i++) {
		struct slot *slot = &pool->slots[(pool->first + i) % SLOTS_MAX];

		if (slot->state == SLOT_WAITS)
			return slot;
	}
	return NULL;
}

/* With the lock held before and after, not while it judges. */
static void judge(struct kt_pool *pool, struct slot *slot)
{
	slot->state = SLOT_TAKEN;
	pthread_mutex_unlock(&pool->lock);
	kt_unit_judge(slot->unit, pool->wishes);
	pthread_mutex_lock(&pool->lock);
	slot->state = SLOT_DONE;
	pthread_cond_broadcast(&pool->wake);
}

static void *work(void *argument)
{
	struct kt_pool *pool = argument;
	struct slot *slot;

	pthread_mutex_lock(&pool->lock);
	while (!pool->stop) {
		slot = find_waiting(pool);
		if (slot != NULL)
			judge(pool, slot);
		else
			pthread_cond_wait(&pool->wake, &pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

int kt_pool_new(unsigned threads, const struct kt_unit_wishes *wishes, struct kt_pool **ret_pool,
	struct kt_error *e)
{
	auto_pool struct kt_pool *pool = calloc(1, sizeof(*pool));
	int error;

	if (pool == NULL)
		return kt_fail_memory(e);
	pool->wishes = wishes;
	pool->room = (size_t)2 * threads;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	while (pool->thread_count + 1 < threads) {
		error = pthread_create(&pool->threads[pool->thread_count], NULL, work, pool);
		if (error != 0)
			return kt_fail(
				e, KT_E_INTERNAL, "cannot start a thread: %s", strerror(error));
		pool->thread_count++;
	}
	*ret_pool = kt_take(pool);
	return 0;
}

void kt_pool_free(struct kt_pool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	for (size_t i = 0; i < pool->count; i++)
		kt_unit_free(pool->slots[(pool->first + i) % SLOTS_MAX].unit);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->wake);
	free(pool);
}

void kt_pool_put(struct kt_pool *pool, struct kt_unit *unit)
{
	pthread_mutex_lock(&pool->lock);
	pool->slots[(pool->first + pool->count) % SLOTS_MAX] = (struct slot){unit, SLOT_WAITS};
	pool->count++;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
}

/* Until the first one is done, others are judged here. */
static void wait_for_first(struct kt_pool *pool)
{
	while (pool->slots[pool->first].state != SLOT_DONE) {
		struct slot *slot = find_waiting(pool);

		if (slot != NULL)
			judge(pool, slot);
		else
			pthread_cond_wait(&pool->wake, &pool->lock);
	}
}

struct kt_unit *kt_pool_take(struct kt_pool *pool, bool all)
{
	struct kt_unit *unit = NULL;

	pthread_mutex_lock(&pool->lock);
	if (pool->count > 0 && (all || pool->count == pool->room))
		wait_for_first(pool);
	if (pool->count > 0 && pool->slots[pool->first].state == SLOT_DONE) {
		unit = pool->slots[pool->first].unit;
		pool->first = (pool->first + 1) % SLOTS_MAX;
		pool->count--;
	}
	pthread_mutex_unlock(&pool->lock);
	return unit;
}
