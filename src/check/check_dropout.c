/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dropout, and draws by probabilities: exact, since the host draws the same numbers from the stream. All of them move
 * the stream by one draw, or by none where nothing is to be drawn.
 */
#include <clef/init.h>
#include <clef/ops.h>

#include "families.h"

static const clef_rng start = { 0x123456789abcdef0u, 0x500000007u };

/* The result, if that moved the stream as far as it should. */
static clef_tensor *moved(clef_tensor *y, const clef_rng *rng, bool draws, const char *name)
{
	if (!y || (rng->seed == start.seed && rng->counter == start.counter + draws))
		return y;
	return clef__fail_null(CLEF_ERROR_STATE, "%s moved the stream by %lld draws, expected %d", name,
			       (long long)(rng->counter - start.counter), draws);
}

/* ---- dropout ---- */

typedef struct drop_opts {
	clef_shape x;
	float p;
	bool eval;
} drop_opts;

static clef_status setup_drop(clef__problem *p)
{
	const drop_opts *o = (const void *)p->opts;

	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = 1, .hi = 9, .whole = p->whole };
	return CLEF_OK;
}

static clef_tensor *apply_dropout(clef_tensor *const *x, const void *opts)
{
	const drop_opts *o = opts;
	clef_rng rng = start;
	clef_tensor *y = clef_dropout(x[0], o->p, !o->eval, &rng);

	return moved(y, &rng, !o->eval && o->p > 0, "dropout");
}

static clef_tensor *apply_dropout2d(clef_tensor *const *x, const void *opts)
{
	const drop_opts *o = opts;
	clef_rng rng = start;
	clef_tensor *y = clef_dropout2d(x[0], o->p, !o->eval, &rng);

	return moved(y, &rng, !o->eval && o->p > 0, "dropout2d");
}

/* `draws` numbers, one for as many elements each. */
static bool reference_drop(const clef__ref *x, const drop_opts *o, clef__ref *y, int64_t draws)
{
	int64_t inner = draws ? x->numel / draws : 1;
	float *u = clef__calloc((size_t)draws, sizeof(*u), "random numbers");
	clef_rng rng = start;

	if (!u)
		return false;
	clef_rng_uniform(&rng, u, (size_t)draws);
	for (int64_t i = y->from; i < y->to; i++)
		y->v[i] = o->eval ? x->v[i] : u[i / inner] < o->p ? 0 : x->v[i] / (1 - (double)o->p);
	free(u);
	return true;
}

static bool reference_dropout(const clef__ref *x, const void *opts, clef__ref *y)
{
	return reference_drop(x, opts, y, x->numel);
}

static bool reference_dropout2d(const clef__ref *x, const void *opts, clef__ref *y)
{
	return reference_drop(x, opts, y, clef__ref_size(&x->shape, 0, 2));
}

static const clef__term terms_drop[] = {
	{ .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(drop_opts, x), .about = "x" },
	{ .name = "p",
	  .kind = CLEF__TERM_FLOAT,
	  .offset = offsetof(drop_opts, p),
	  .preset = 0.5,
	  .about = "share that is dropped" },
	{ .name = "eval", .kind = CLEF__TERM_FLAG, .offset = offsetof(drop_opts, eval), .about = "not training" },
	{ NULL },
};

#define TWO(problem, whole) problem whole, problem " eval" whole

/* Quotients by 1 - 0.5 and 1 - 0.75 are exact. */
static const char *const problems_dropout[] = {
	TWO("dropout x3x5", " whole"),     TWO("dropout x130 p0.25", ""),   TWO("dropout x257x33 p0.75", " whole"),
	TWO("dropout x257 p0.1", ""),      TWO("dropout x33 p0", " whole"), TWO("dropout x33 p1", " whole"),
	TWO("dropout x=scalar", " whole"), TWO("dropout x0x5", " whole"),
};

static const char *const problems_dropout2d[] = {
	TWO("dropout2d x2x3x4", " whole"),    TWO("dropout2d x5x33 p0.75", " whole"),
	TWO("dropout2d x9x33x3x3 p0.3", ""),  TWO("dropout2d x2x5x7 p1", " whole"),
	TWO("dropout2d x2x5x7 p0", " whole"), TWO("dropout2d x2x0x7", " whole"),
};

const clef__family clef__family_dropout = { .name = "dropout",
					    .terms = terms_drop,
					    .setup = setup_drop,
					    .apply = apply_dropout,
					    .reference = reference_dropout,
					    CLEF__PROBLEMS(problems_dropout, 3) };

const clef__family clef__family_dropout2d = { .name = "dropout2d",
					      .terms = terms_drop,
					      .setup = setup_drop,
					      .apply = apply_dropout2d,
					      .reference = reference_dropout2d,
					      CLEF__PROBLEMS(problems_dropout2d, 2) };

/* ---- bernoulli ---- */

static clef_status setup_bernoulli(clef__problem *p)
{
	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = *(const clef_shape *)(const void *)p->opts, .lo = -0.2, .hi = 1.2 };
	p->no_gradient = true;
	return CLEF_OK;
}

static clef_tensor *apply_bernoulli(clef_tensor *const *x, const void *opts)
{
	clef_rng rng = start;
	clef_tensor *y = clef_bernoulli(x[0], &rng);

	(void)opts;
	return moved(y, &rng, true, "bernoulli");
}

static bool reference_bernoulli(const clef__ref *x, const void *opts, clef__ref *y)
{
	float *u = clef__calloc((size_t)x->numel, sizeof(*u), "random numbers");
	clef_rng rng = start;

	(void)opts;
	if (!u)
		return false;
	clef_rng_uniform(&rng, u, (size_t)x->numel);
	for (int64_t i = y->from; i < y->to; i++)
		y->v[i] = (double)u[i] < x->v[i];
	free(u);
	return true;
}

static const clef__term terms_bernoulli[] = {
	{ .name = "p", .kind = CLEF__TERM_SHAPE, .preset = 1, .about = "probabilities" },
	{ NULL },
};

static const char *const problems_bernoulli[] = {
	"bernoulli p257", "bernoulli p3x5", "bernoulli p0x4", "bernoulli p64",     "bernoulli p=scalar",
	"bernoulli p63",  "bernoulli p4",   "bernoulli p1",   "bernoulli p65x129", "bernoulli p33x2x33",
};

const clef__family clef__family_bernoulli = { .name = "bernoulli",
					      .terms = terms_bernoulli,
					      .setup = setup_bernoulli,
					      .apply = apply_bernoulli,
					      .reference = reference_bernoulli,
					      CLEF__PROBLEMS(problems_bernoulli, 3) };
