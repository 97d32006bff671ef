/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Initializers: a device must fill a tensor with the bits that the definition gives on the host, and leave alone what
 * lies around it. Only an orthogonal matrix may differ in last bits, so it is held to what makes it the only one.
 */
#include <math.h>

#include "families.h"
#include "init_reference.h"
#include "operand.h"

#define ORTHOGONAL_LIMIT 1e-5

typedef struct init_opts {
	int kind; /* clef_init_kind, less 1 */
	clef_shape x;
	float p, q, lo, hi, a;
	int groups, mode, nonlinearity;
} init_opts;

/* In the order of clef_init_kind, without CLEF_INIT_DEFAULT. */
static const char *const kinds[] = { "constant",       "uniform",       "normal",
				     "xavier_uniform", "xavier_normal", "kaiming_uniform",
				     "kaiming_normal", "lecun_uniform", "lecun_normal",
				     "trunc_normal",   "orthogonal",    "eye",
				     "dirac",          "sparse",        NULL };

static const char *const modes[] = { "fan_in", "fan_out", NULL };
static const char *const nonlinearities[] = { "leaky_relu", "relu", "linear", "sigmoid", "tanh", "selu", NULL };

typedef struct run {
	clef_init init;
	clef_shape shape;
	size_t n, offset, total; /* values; where they begin among all */
	float *all, *want;
	clef_check_result *result;
} run;

/* Every bit of a stream counts. */
static const clef_rng stream = { 0xfedcba9876543210, 0x1122334455667788 };

static void failed(run *r, const char *message)
{
	r->result->verdict = CLEF_VERDICT_FAILED;
	snprintf(r->result->message, sizeof(r->result->message), "%s", message);
}

/* ---- on the device ---- */

/* Fills the middle of a larger tensor of NaN, and reads all of it. */
static clef_status fill(run *r, clef_device *dev, clef_rng *rng)
{
	clef_tensor *values = clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SHAPE((int64_t)r->total)), *x = NULL;
	clef_status s = values ? clef_write(values, r->all, r->total * sizeof(float)) : clef_error_status();

	if (!s) {
		x = clef__tensor_view(dev, CLEF_FLOAT32, r->shape, values->buffer, values->offset + r->offset);
		s = x ? clef_init_apply(x, &r->init, rng) : clef_error_status();
	}
	if (!s)
		s = clef_read(values, r->all, r->total * sizeof(float));
	clef_tensor_free(x);
	clef_tensor_free(values);
	return s;
}

/* ---- the verdict ---- */

static void check_guards(run *r)
{
	char text[128];

	for (size_t i = 0; i < r->total; i++)
		if ((i < r->offset || i >= r->offset + r->n) && !isnan(r->all[i])) {
			snprintf(text, sizeof(text), "an element beside the tensor, %lld from its start, became %g",
				 (long long)i - (long long)r->offset, (double)r->all[i]);
			failed(r, text);
			return;
		}
}

static void check_counter(run *r, clef_rng rng)
{
	bool draws =
		r->init.kind != CLEF_INIT_CONSTANT && r->init.kind != CLEF_INIT_EYE && r->init.kind != CLEF_INIT_DIRAC;

	if (rng.seed != stream.seed || rng.counter != stream.counter + draws)
		failed(r, "the stream was not moved on by the number of draws");
}

static void compare_bits(run *r)
{
	const float *got = r->all + r->offset;
	double largest = 0, worst = 0;
	size_t differ = 0, first = 0;
	char text[256];

	for (size_t i = r->n; i-- > 0;) {
		double error = fabs((double)got[i] - (double)r->want[i]);

		largest = fmax(largest, fabs((double)r->want[i]));
		worst = isfinite(error) ? fmax(worst, error) : (double)INFINITY;
		if (memcmp(&got[i], &r->want[i], sizeof(*got)) != 0) {
			differ++;
			first = i;
		}
	}
	r->result->value_error = largest > 0 ? worst / largest : worst;
	if (!differ)
		return;
	snprintf(text, sizeof(text), "%zu of %zu values have other bits than the host's; value %zu is %a, expected %a",
		 differ, r->n, first, (double)got[first], (double)r->want[first]);
	failed(r, text);
}

static clef_status check_orthogonal(run *r)
{
	double gain = r->init.p > 0 ? (double)r->init.p : 1;
	int64_t other;
	char text[128];
	clef_status s =
		clef__init_ref_orthogonal(r->all + r->offset, r->shape, gain, stream, &r->result->value_error, &other);

	if (s)
		return s;
	r->result->value_limit = ORTHOGONAL_LIMIT;
	if (!(r->result->value_error <= ORTHOGONAL_LIMIT)) {
		snprintf(text, sizeof(text), "lengths and angles are off by up to %.3g", r->result->value_error);
		failed(r, text);
	} else if (other >= 0) {
		snprintf(text, sizeof(text), "vector %lld is not the one of the QR decomposition of the draw",
			 (long long)other);
		failed(r, text);
	}
	return CLEF_OK;
}

static clef_status check(run *r, clef_device *dev)
{
	clef_rng rng = stream;
	clef_status s = fill(r, dev, &rng);

	if (s) {
		failed(r, clef_error());
		if (s == CLEF_ERROR_UNSUPPORTED)
			r->result->verdict = CLEF_VERDICT_SKIPPED;
		return s == CLEF_ERROR_MEMORY ? s : CLEF_OK;
	}
	if (r->init.kind == CLEF_INIT_ORTHOGONAL)
		s = check_orthogonal(r);
	else
		s = clef__init_ref(&r->init, r->shape, stream, r->want);
	if (s)
		return s;
	if (r->init.kind != CLEF_INIT_ORTHOGONAL)
		compare_bits(r);
	if (!r->result->verdict)
		check_guards(r);
	if (!r->result->verdict)
		check_counter(r, rng);
	return CLEF_OK;
}

static clef_status run_init(const clef__problem *p, clef_device *dev, clef_check_result *result)
{
	const init_opts *o = (const void *)p->opts;
	run r = { .init = { .kind = (clef_init_kind)(o->kind + 1),
			    .p = o->p,
			    .q = o->q,
			    .kaiming = { (clef_fan_mode)o->mode, (clef_nonlinearity)o->nonlinearity, o->a },
			    .lo = o->lo,
			    .hi = o->hi,
			    .groups = o->groups },
		  .shape = o->x,
		  .n = (size_t)clef_shape_numel(o->x),
		  .result = result };
	clef_status s = CLEF_ERROR_MEMORY;

	/* Different sizes begin at different places within a vector. */
	r.offset = CLEF__GUARD + r.n % 4;
	r.total = r.offset + r.n + CLEF__GUARD;
	r.all = clef__calloc(r.total, sizeof(*r.all), "values");
	r.want = clef__calloc(r.n + 1, sizeof(*r.want), "values");
	for (size_t i = 0; i < r.total && r.all; i++)
		r.all[i] = NAN;
	if (r.all && r.want)
		s = check(&r, dev);
	free(r.all);
	free(r.want);
	return s;
}

/* ---- the family ---- */

#define FLOAT_TERM(term, text)                                                                                         \
	{                                                                                                              \
		.name = #term, .kind = CLEF__TERM_FLOAT, .offset = offsetof(init_opts, term), .about = text            \
	}
#define WORD_TERM(term, first, list, text)                                                                             \
	{                                                                                                              \
		.name = #term, .kind = CLEF__TERM_WORD, .offset = offsetof(init_opts, term), .preset = first,          \
		.words = list, .about = text                                                                           \
	}

static const clef__term terms[] = {
	WORD_TERM(kind, -1, kinds, "which initializer; the terms below are fields of clef_init"),
	{ .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(init_opts, x), .about = "the tensor" },
	FLOAT_TERM(p, "value, lower bound, mean, gain or share of zeros"),
	FLOAT_TERM(q, "upper bound or standard deviation"),
	FLOAT_TERM(lo, "lower bound of trunc_normal"),
	FLOAT_TERM(hi, "upper bound of trunc_normal"),
	FLOAT_TERM(a, "slope of leaky_relu, of kaiming"),
	WORD_TERM(mode, 0, modes, "of kaiming"),
	WORD_TERM(nonlinearity, 0, nonlinearities, "of kaiming"),
	{ .name = "groups",
	  .kind = CLEF__TERM_INT,
	  .offset = offsetof(init_opts, groups),
	  .least = 0,
	  .most = INT32_MAX,
	  .about = "of dirac; 0 means 1" },
	{ NULL },
};

/* Sizes around those of vectors and work-groups. */
#define SIZES(text)                                                                                                    \
	"init kind=" text " x1", "init kind=" text " x3", "init kind=" text " x4", "init kind=" text " x5",            \
		"init kind=" text " x17", "init kind=" text " x63", "init kind=" text " x64",                          \
		"init kind=" text " x65", "init kind=" text " x1000", "init kind=" text " x65537"

static const char *const problems[] = {
	"init kind=constant x5x7 p-0.75",
	"init kind=uniform x67 p-0.37 q1.91",
	"init kind=normal x67 p0.1 q0.02",
	"init kind=xavier_uniform x6x5x3x3 p1.666667",
	"init kind=xavier_normal x6x5x3x3",
	"init kind=kaiming_uniform x6x5x3x3 a2.236068",
	"init kind=kaiming_normal x6x5x3x3 mode=fan_out nonlinearity=relu",
	"init kind=lecun_uniform x7x9",
	"init kind=lecun_normal x7x9",
	"init kind=trunc_normal x67 q0.02 lo-0.04 hi0.04",
	"init kind=orthogonal x140x131 p1.41",
	"init kind=eye x5x2",
	"init kind=dirac x6x2x3x4 groups3",
	"init kind=sparse x10x7 p0.11 q0.5",

	"init kind=constant x0",
	"init kind=eye x1x1",
	"init kind=eye x3x3",
	"init kind=eye x2x7",
	"init kind=eye x64x65",
	"init kind=eye x1x9",
	"init kind=dirac x4x4x3",
	"init kind=dirac x4x6x2 groups1",
	"init kind=dirac x6x4x1",
	"init kind=dirac x3x16x5x5",
	"init kind=dirac x12x5x2x3 groups2",
	"init kind=dirac x5x1x1x1 groups5",
	"init kind=dirac x4x3x3x2x5 groups2",
	"init kind=dirac x2x2x4x4x4",
	"init kind=dirac x0x4x3 groups2",
	"init kind=sparse x10x7 p0.1",
	"init kind=sparse x10x7",
	"init kind=sparse x10x7 p1 q0.5",
	"init kind=sparse x1x5 p0.001 q0.5",
	"init kind=sparse x5x1 p0.9 q0.5",
	"init kind=sparse x100x64 p0.9 q0.5",
	"init kind=sparse x30x3 p0.7 q0.5",
	"init kind=sparse x30x3 p0.3 q0.5",
	"init kind=sparse x1000x3 p0.001 q0.5",
	"init kind=sparse x64x128 p0.5 q0.5",
	"init kind=sparse x257x9 p0.25 q0.5",
	"init kind=trunc_normal x65537",
	"init kind=trunc_normal x65537 p5 q3 lo4 hi6",
	"init kind=trunc_normal x65537 lo1 hi1.25",
	"init kind=trunc_normal x65537 lo-1.25 hi-1",
	"init kind=trunc_normal x65537 lo1 hi4",
	SIZES("uniform"),
	"init kind=uniform x65537 p-0.37 q1.91",
	SIZES("normal"),
	"init kind=normal x65537 p0.1 q0.02",
	"init kind=xavier_uniform x64x32x3x3",
	"init kind=xavier_normal x64x32x3x3 p2",
	"init kind=kaiming_uniform x64x32x3x3",
	"init kind=kaiming_uniform x10x784 nonlinearity=tanh",
	"init kind=kaiming_normal x64x32x3x3 a0.2",
	"init kind=kaiming_normal x8x4x3 nonlinearity=selu",
	"init kind=kaiming_normal x8x4x3 mode=fan_out nonlinearity=linear",
	"init kind=lecun_uniform x64x32x3x3",
	"init kind=lecun_normal x64x32x3x3",
	"init kind=orthogonal x1x1",
	"init kind=orthogonal x1x9",
	"init kind=orthogonal x9x1",
	"init kind=orthogonal x16x16",
	"init kind=orthogonal x16x25",
	"init kind=orthogonal x40x70 p1.41",
	"init kind=orthogonal x70x40 p0.5",
	"init kind=orthogonal x64x3x5x5",
	"init kind=orthogonal x20x3x1x2x2 p2",
	"init kind=orthogonal x128x128",
	"init kind=orthogonal x300x150",
	"init kind=orthogonal x150x300 p3",
	"init kind=orthogonal x400x400",
};

const clef__family clef__family_init = {
	.name = "init", .terms = terms, .run = run_init, CLEF__PROBLEMS(problems, 14)
};
