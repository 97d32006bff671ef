/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels pool: by rows on a CPU, by elements elsewhere, unless clef tune has found that it is otherwise. */
#include "pool_internal.h"

typedef struct problem {
	int largest, planes, h, w, oh, ow;
	int adaptive, kh, kw, sh, sw, ph, pw, dh, dw, without_pad, divisor;
} problem;

#define FIELD(name, field, otherwise, least)                                                                           \
	{                                                                                                              \
		name, offsetof(problem, field), otherwise, least                                                       \
	}
/* clang-format off */
static const clef__key_field fields[] = {
	FIELD("max", largest, 0, 0), FIELD("planes", planes, -1, 1), FIELD("h", h, -1, 1), FIELD("w", w, -1, 1),
	FIELD("oh", oh, -1, 1), FIELD("ow", ow, -1, 1), FIELD("adaptive", adaptive, 0, 0), FIELD("kh", kh, 1, 1),
	FIELD("kw", kw, 1, 1), FIELD("sh", sh, 1, 1), FIELD("sw", sw, 1, 1), FIELD("ph", ph, 0, 0), FIELD("pw", pw, 0, 0),
	FIELD("dh", dh, 1, 1), FIELD("dw", dw, 1, 1), FIELD("nopad", without_pad, 0, 0), FIELD("divisor", divisor, 0, 0),
	{ NULL },
};
/* clang-format on */

static problem problem_of(const clef__pool *p, int planes, bool largest)
{
	problem a = { .largest = largest,
		      .planes = planes,
		      .h = p->in[0],
		      .w = p->in[1],
		      .oh = p->out[0],
		      .ow = p->out[1],
		      .adaptive = p->adaptive };

	if (p->adaptive) {
		a.kh = a.kw = a.sh = a.sw = a.dh = a.dw = 1;
		return a;
	}
	a.kh = p->kernel[0];
	a.kw = p->kernel[1];
	a.sh = p->stride[0];
	a.sw = p->stride[1];
	a.ph = p->pad[0];
	a.pw = p->pad[1];
	a.dh = CLEF__MAX(p->dilation[0], 1);
	a.dw = CLEF__MAX(p->dilation[1], 1);
	a.without_pad = p->exclude_pad;
	a.divisor = p->divisor;
	return a;
}

/* Rounding up is not said: the result has the size that it has, which is that of one or the other. */
static clef__pool pool_of(const problem *a)
{
	clef__pool p = { .adaptive = a->adaptive, .wanted = { a->oh, a->ow } };

	if (a->adaptive)
		return p;
	p.kernel[0] = a->kh;
	p.kernel[1] = a->kw;
	p.stride[0] = a->sh;
	p.stride[1] = a->sw;
	p.pad[0] = a->ph;
	p.pad[1] = a->pw;
	p.dilation[0] = a->dh;
	p.dilation[1] = a->dw;
	p.exclude_pad = a->without_pad;
	p.divisor = a->divisor;
	p.ceil_mode = a->oh > (a->h + 2 * a->ph - a->dh * (a->kh - 1) - 1) / a->sh + 1 ||
		      a->ow > (a->w + 2 * a->pw - a->dw * (a->kw - 1) - 1) / a->sw + 1;
	return p;
}

/* Small enough that no product of them overflows; whether windows fit, recording it will tell. */
static bool consistent(const void *of)
{
	const problem *a = of;

	return a->planes > 0 && a->h > 0 && a->w > 0 && a->oh > 0 && a->ow > 0 && a->kh < 1 << 14 && a->kw < 1 << 14 &&
	       a->dh < 1 << 14 && a->dw < 1 << 14 && a->ph < 1 << 14 && a->pw < 1 << 14 && a->h < 1 << 28 &&
	       a->w < 1 << 28 && clef_shape_numel(CLEF_SHAPE(a->planes, a->h, a->w)) > 0;
}

static bool fits(const clef_device *dev, int way)
{
	return way == CLEF__POOL_ELEMENTS || clef_device_get_info(dev)->kind == CLEF_DEVICE_CPU;
}

static int shipped(const clef_device *dev, const void *of)
{
	(void)of;
	return fits(dev, CLEF__POOL_ROWS) ? CLEF__POOL_ROWS : CLEF__POOL_ELEMENTS;
}

static int operands(const void *of, clef_shape shape[CLEF__VARIANT_OPERANDS])
{
	const problem *a = of;

	shape[0] = CLEF_SHAPE(a->planes, a->h, a->w);
	return 1;
}

static clef_tensor *apply(clef_tensor *const *x, const void *of, int way)
{
	static const clef__op largest = { "max_pool2d", clef__max_pool_infer, clef__max_pool_forward,
					  clef__max_pool_backward };
	static const clef__op mean = { "avg_pool2d", clef__avg_pool_infer, clef__avg_pool_forward,
				       clef__avg_pool_backward };
	const problem *a = of;
	clef__pool p = pool_of(a);

	p.way = way + 1;
	return clef__apply(a->largest ? &largest : &mean, x, 1, &p, sizeof(p));
}

static const char *const names[] = { "rows", "elements", NULL };

const clef__variants clef__pool_variants = { "pool", fields,  sizeof(problem), names, consistent,
					     fits,   shipped, operands,        apply };

int clef__pool_choose(const clef__node *n, const clef__pool *p, bool largest)
{
	int64_t plane = (int64_t)p->in[0] * p->in[1];
	problem a;

	if (p->way)
		return p->way - 1;
	a = problem_of(p, (int)(n->x[0]->numel / plane), largest);
	return clef__variant_choose(n, &clef__pool_variants, &a);
}
