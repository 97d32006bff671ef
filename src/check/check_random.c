/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers: a device must draw the bits that the host draws, and those that every other device has drawn, which
 * a hash stands for. The host's own code is held to the hash too, since a compiler may have contracted it.
 */
#include <clef/init.h>

#include "families.h"
#include "random_hashes.h"

typedef struct random_opts {
	int draw, n, seed, counter;
} random_opts;

/* ---- the draws ---- */

typedef struct draw_row {
	const char *name;
	clef_dtype dtype;
	int n; /* values that the hash is of */
	uint64_t hash;
	clef_status (*device)(clef_tensor *x, clef_rng *rng);
	clef_status (*host)(clef_rng *rng, void *values, size_t n);
} draw_row;

static clef_status device_uniform(clef_tensor *x, clef_rng *rng)
{
	return clef_init_uniform(x, 0, 1, rng);
}

static clef_status host_uniform(clef_rng *rng, void *values, size_t n)
{
	clef_rng_uniform(rng, values, n);
	return CLEF_OK;
}

static clef_status device_normal(clef_tensor *x, clef_rng *rng)
{
	return clef_init_normal(x, 0, 1, rng);
}

static clef_status host_normal(clef_rng *rng, void *values, size_t n)
{
	clef_rng_normal(rng, values, n);
	return CLEF_OK;
}

static clef_status device_exponential(clef_tensor *x, clef_rng *rng)
{
	return clef_random_exponential(x, 1, rng);
}

static clef_status host_exponential(clef_rng *rng, void *values, size_t n)
{
	return clef_rng_exponential(rng, values, n, 1);
}

static clef_status device_bernoulli(clef_tensor *x, clef_rng *rng)
{
	return clef_random_bernoulli(x, 0.3f, rng);
}

static clef_status host_bernoulli(clef_rng *rng, void *values, size_t n)
{
	return clef_rng_bernoulli(rng, values, n, 0.3f);
}

static clef_status device_randint(clef_tensor *x, clef_rng *rng)
{
	return clef_random_int(x, -1, 2000000000, rng);
}

static clef_status host_randint(clef_rng *rng, void *values, size_t n)
{
	return clef_rng_randint(rng, values, n, -1, 2000000000);
}

static clef_status device_trunc_normal(clef_tensor *x, clef_rng *rng)
{
	return clef_init_trunc_normal(x, 0, 1, -2, 2, rng);
}

static clef_status host_trunc_normal(clef_rng *rng, void *values, size_t n)
{
	return clef_rng_trunc_normal(rng, values, n, 0, 1, -2, 2);
}

/* In the order of names[]. */
static const draw_row rows[] = {
	{ "uniform", CLEF_FLOAT32, 65536, CLEF__HASH_UNIFORM, device_uniform, host_uniform },
	{ "normal", CLEF_FLOAT32, 65536, CLEF__HASH_NORMAL, device_normal, host_normal },
	{ "exponential", CLEF_FLOAT32, 4096, CLEF__HASH_EXPONENTIAL, device_exponential, host_exponential },
	{ "bernoulli", CLEF_FLOAT32, 4096, CLEF__HASH_BERNOULLI, device_bernoulli, host_bernoulli },
	{ "randint", CLEF_INT32, 4096, CLEF__HASH_INTEGERS, device_randint, host_randint },
	{ "trunc_normal", CLEF_FLOAT32, 4096, CLEF__HASH_TRUNC_NORMAL, device_trunc_normal, host_trunc_normal },
};

static const char *const names[] = { "uniform", "normal", "exponential", "bernoulli", "randint", "trunc_normal", NULL };

/* ---- the check ---- */

static clef_status draw_both(clef_device *dev, const random_opts *o, uint32_t *got, uint32_t *want)
{
	const draw_row *row = &rows[o->draw];
	clef_rng host = { (uint64_t)o->seed, (uint64_t)o->counter }, device = host;
	clef_tensor *x = clef_tensor_new(dev, row->dtype, CLEF_SHAPE(o->n));
	clef_status s = x ? row->device(x, &device) : clef_error_status();

	if (!s)
		s = clef_read(x, got, (size_t)o->n * sizeof(*got));
	if (!s)
		s = row->host(&host, want, (size_t)o->n);
	clef_tensor_free(x);
	return s;
}

static void compare(const random_opts *o, const uint32_t *got, const uint32_t *want, clef_check_result *r)
{
	const draw_row *row = &rows[o->draw];
	uint64_t hash = clef__hash(CLEF__HASH_START, got, (size_t)o->n * sizeof(*got));
	bool known = o->n == row->n && o->seed == 1 && o->counter == 2;
	int differ = 0, first = 0;

	for (int i = o->n - 1; i >= 0; i--)
		if (got[i] != want[i]) {
			differ++;
			first = i;
		}
	r->value_error = differ;
	r->verdict = differ || (known && hash != row->hash) ? CLEF_VERDICT_FAILED : CLEF_VERDICT_PASSED;
	if (differ)
		snprintf(r->message, sizeof(r->message),
			 "%d of %d values have other bits than the host's; value %d is 0x%08x, expected 0x%08x", differ,
			 o->n, first, got[first], want[first]);
	else if (known)
		snprintf(r->message, sizeof(r->message), "hash %016llx, expected %016llx", (unsigned long long)hash,
			 (unsigned long long)row->hash);
	else
		snprintf(r->message, sizeof(r->message), "hash %016llx, as the host's", (unsigned long long)hash);
}

static clef_status run(const clef__problem *p, clef_device *dev, clef_check_result *r)
{
	random_opts o = *(const random_opts *)(const void *)p->opts;
	uint32_t *values;
	clef_status s;

	o.n = o.n ? o.n : rows[o.draw].n;
	values = clef__calloc(2 * (size_t)o.n, sizeof(*values), "random numbers");
	if (!values)
		return CLEF_ERROR_MEMORY;
	s = draw_both(dev, &o, values, values + o.n);
	if (s) {
		r->verdict = CLEF_VERDICT_FAILED;
		snprintf(r->message, sizeof(r->message), "%s", clef_error());
	} else
		compare(&o, values, values + o.n, r);
	free(values);
	return CLEF_OK;
}

static const clef__term terms[] = {
	{ .name = "draw",
	  .kind = CLEF__TERM_WORD,
	  .offset = offsetof(random_opts, draw),
	  .preset = -1,
	  .words = names,
	  .about = "which distribution" },
	{ .name = "n",
	  .kind = CLEF__TERM_INT,
	  .offset = offsetof(random_opts, n),
	  .least = 0,
	  .most = 1 << 28,
	  .about = "values; 0: as many as the known hash is of" },
	{ .name = "seed",
	  .kind = CLEF__TERM_INT,
	  .offset = offsetof(random_opts, seed),
	  .preset = 1,
	  .least = 0,
	  .most = INT32_MAX,
	  .about = "of the stream" },
	{ .name = "counter",
	  .kind = CLEF__TERM_INT,
	  .offset = offsetof(random_opts, counter),
	  .preset = 2,
	  .least = 0,
	  .most = INT32_MAX,
	  .about = "of the stream" },
	{ NULL },
};

static const char *const problems[] = {
	"random draw=uniform",
	"random draw=normal",
	"random draw=exponential",
	"random draw=bernoulli",
	"random draw=randint",
	"random draw=trunc_normal",
	"random draw=uniform n1000003 seed7",
	"random draw=normal n1000003 seed7",
	"random draw=exponential n100003 seed7",
	"random draw=bernoulli n100003 seed7",
	"random draw=randint n100003 seed7",
	"random draw=trunc_normal n100003 seed7",
	"random draw=normal n1",
	"random draw=uniform n63 seed123456789 counter987654321",
};

const clef__family clef__family_random = { .name = "random", .terms = terms, .run = run, CLEF__PROBLEMS(problems, 6) };
