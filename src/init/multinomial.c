/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing by weights, on the host. With replacement a value is looked up in the running sums of the weights. Without,
 * each number with a weight gets an exponential time, which is the sooner the larger the weight is: the first to come
 * are the ones wanted, in the right order (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
 * Double sums, products and quotients are rounded exactly, so all hosts choose the same.
 */
#include <math.h>

#include "init_internal.h"
#include "philox.clh"

static clef_status check(const float *weights, size_t count, bool replacement, size_t n, size_t *chosen_from)
{
	size_t positive = 0;

	if (count > INT32_MAX)
		return clef__fail(CLEF_ERROR_SHAPE, "clef_rng_multinomial: %zu weights, expected at most 2147483647",
				  count);
	for (size_t i = 0; i < count; i++) {
		if (!(weights[i] >= 0) || !isfinite(weights[i]))
			return clef__fail(CLEF_ERROR_INVALID,
					  "clef_rng_multinomial: weight %zu is %g, expected a finite number that is "
					  "not negative",
					  i, (double)weights[i]);
		positive += weights[i] > 0;
	}
	if (n && !positive)
		return clef__fail(CLEF_ERROR_INVALID, "clef_rng_multinomial: none of %zu weights is above 0", count);
	if (!replacement && n > positive)
		return clef__fail(CLEF_ERROR_INVALID,
				  "clef_rng_multinomial: %zu of %zu numbers with a weight above 0 wanted without "
				  "replacement",
				  n, positive);
	*chosen_from = positive;
	return CLEF_OK;
}

static void words_of(const clef_rng *rng, size_t block, uint32_t w[4])
{
	philox_draw(w, (uint32_t)block, (uint32_t)((uint64_t)block >> 32), rng->seed, rng->counter);
}

/* The first number whose running sum exceeds the target, which lies below the last sum. */
static int32_t look_up(const double *sums, size_t count, double target)
{
	size_t low = 0, high = count - 1;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (sums[middle] > target)
			high = middle;
		else
			low = middle + 1;
	}
	return (int32_t)low;
}

static clef_status with_replacement(const clef_rng *rng, const float *weights, size_t count, int32_t *values, size_t n)
{
	double *sums = clef__calloc(count, sizeof(*sums), "running sums of weights"), total = 0;
	size_t last = 0;
	uint32_t w[4];

	if (!sums)
		return clef_error_status();
	for (size_t i = 0; i < count; i++) {
		total += (double)weights[i];
		sums[i] = total;
		last = weights[i] > 0 ? i + 1 : last;
	}
	/* Two values of 53 bits to a block. The product may round up to the total: that is the last number's. */
	for (size_t i = 0; i < n; i++) {
		uint64_t bits;

		if (i % 2 == 0)
			words_of(rng, i / 2, w);
		bits = (uint64_t)w[i % 2 * 2 + 1] << 32 | w[i % 2 * 2];
		values[i] = look_up(sums, last, (double)(bits >> 11) * 0x1p-53 * total);
	}
	free(sums);
	return CLEF_OK;
}

typedef struct arrival {
	double time;
	int32_t number;
} arrival;

static int compare_arrivals(const void *a, const void *b)
{
	const arrival *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static clef_status without_replacement(const clef_rng *rng, const float *weights, size_t count, size_t positive,
				       int32_t *values, size_t n)
{
	arrival *arrivals = clef__calloc(positive, sizeof(*arrivals), "arrivals by weights");
	size_t found = 0;
	uint32_t w[4];

	if (!arrivals)
		return clef_error_status();
	for (size_t i = 0; i < count; i++) {
		if (i % 4 == 0)
			words_of(rng, i / 4, w);
		if (weights[i] > 0)
			arrivals[found++] = (arrival){ (double)philox_log(w[i % 4]) / (double)weights[i], (int32_t)i };
	}
	qsort(arrivals, positive, sizeof(*arrivals), compare_arrivals);
	for (size_t i = 0; i < n; i++)
		values[i] = arrivals[i].number;
	free(arrivals);
	return CLEF_OK;
}

clef_status clef_rng_multinomial(clef_rng *rng, const float *weights, size_t count, bool replacement, int32_t *values,
				 size_t n)
{
	size_t positive = 0;
	clef_status status = check(weights, count, replacement, n, &positive);

	if (!status && n)
		status = replacement ? with_replacement(rng, weights, count, values, n)
				     : without_replacement(rng, weights, count, positive, values, n);
	if (!status)
		rng->counter++;
	return status;
}
