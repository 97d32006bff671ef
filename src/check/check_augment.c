/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Augmentation, against a host that does one thing after another to each image, with the numbers of the same stream.
 */
#include <math.h>

#include <clef/init.h>
#include <clef/ops.h>

#include "families.h"

static const clef_rng start = { 0x123456789abcdef0u, 0x500000007u };

typedef struct augment_opts {
	int n, c, h, w;
	int crop, erase;
	clef_augment_opts o; /* with crop and erase */
} augment_opts;

static clef_status setup(clef__problem *p)
{
	augment_opts *o = (void *)p->opts;

	o->o.crop = o->crop;
	o->o.erase = o->erase;
	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = CLEF_SHAPE(o->n, o->c, o->h, o->w), .lo = 1, .hi = 9, .whole = p->whole };
	p->no_gradient = true;
	return CLEF_OK;
}

static clef_tensor *apply(clef_tensor *const *x, const void *opts)
{
	clef_rng rng = start;
	clef_tensor *y = clef_augment(x[0], &((const augment_opts *)opts)->o, &rng);

	if (!y || (rng.seed == start.seed && rng.counter == start.counter + 1))
		return y;
	return clef__fail_null(CLEF_ERROR_STATE, "augment moved the stream by %lld draws, expected 1",
			       (long long)(rng.counter - start.counter));
}

/* ---- a host's augmentation ---- */

/* One channel of an image, and room for it and its border. */
typedef struct plane {
	int h, w;
	double *v, *scratch;
} plane;

/* The pixel, or what stands for it outside. */
static double at(const plane *p, const double *v, int row, int column, bool reflect)
{
	if (reflect) {
		row = row < 0 ? -row : row >= p->h ? 2 * p->h - 2 - row : row;
		column = column < 0 ? -column : column >= p->w ? 2 * p->w - 2 - column : column;
	}
	return row >= 0 && row < p->h && column >= 0 && column < p->w ? v[row * p->w + column] : 0;
}

/* Puts `pad` pixels around the image and takes the h x w from (row, column) on. */
static void cut(plane p, int pad, int row, int column, bool reflect)
{
	int wide = p.w + 2 * pad;

	for (int i = 0; i < p.h + 2 * pad; i++)
		for (int k = 0; k < wide; k++)
			p.scratch[i * wide + k] = at(&p, p.v, i - pad, k - pad, reflect);
	for (int i = 0; i < p.h; i++)
		for (int k = 0; k < p.w; k++)
			p.v[i * p.w + k] = p.scratch[(i + row) * wide + k + column];
}

static void move(plane p, int down, int across, bool reflect)
{
	memcpy(p.scratch, p.v, (size_t)(p.h * p.w) * sizeof(*p.v));
	for (int i = 0; i < p.h; i++)
		for (int k = 0; k < p.w; k++)
			p.v[i * p.w + k] = at(&p, p.scratch, i + down, k + across, reflect);
}

static void swap(double *a, double *b)
{
	double t = *a;

	*a = *b;
	*b = t;
}

static int choice(uint32_t word, int count)
{
	return (int)(((uint64_t)word * (uint64_t)count) >> 32);
}

static bool happens(uint32_t word, float p)
{
	return (double)(word >> 8) < (double)p * 0x1p24;
}

static void augment_plane(plane p, const clef_augment_opts *o, const uint32_t w[12])
{
	int down = (int)fmin(round((double)o->translate * p.h), p.h - 1);
	int across = (int)fmin(round((double)o->translate * p.w), p.w - 1), size = (int)o->erase;
	int top = choice(w[6], p.h) - size / 2, left = choice(w[7], p.w) - size / 2;

	cut(p, (int)o->crop, choice(w[0], 2 * (int)o->crop + 1), choice(w[1], 2 * (int)o->crop + 1), o->reflect);
	move(p, choice(w[2], 2 * down + 1) - down, choice(w[3], 2 * across + 1) - across, o->reflect);
	for (int i = 0; i < p.h && happens(w[4], o->flip); i++)
		for (int k = 0; k < p.w / 2; k++)
			swap(&p.v[i * p.w + k], &p.v[i * p.w + p.w - 1 - k]);
	for (int i = 0; i < p.h / 2 && happens(w[5], o->vflip); i++)
		for (int k = 0; k < p.w; k++)
			swap(&p.v[i * p.w + k], &p.v[(p.h - 1 - i) * p.w + k]);
	for (int i = 0; i < p.h && happens(w[8], o->erase_p > 0 ? o->erase_p : 1); i++)
		for (int k = 0; k < p.w; k++)
			if (i >= top && i < top + size && k >= left && k < left + size)
				p.v[i * p.w + k] = 0;
}

static bool reference(const clef__ref *x, const void *opts, clef__ref *y)
{
	const augment_opts *o = opts;
	size_t images = (size_t)o->n, room = (size_t)(o->h + 2 * o->crop) * (size_t)(o->w + 2 * o->crop);
	uint32_t *words = clef__calloc(12 * images, sizeof(*words), "random numbers");
	plane p = { o->h, o->w, y->v, clef__calloc(room, sizeof(double), "an image") };
	bool fine = words && p.scratch;
	clef_rng rng = start;

	if (fine) {
		clef_rng_uint32(&rng, words, 12 * images);
		memcpy(y->v, x->v, (size_t)x->numel * sizeof(*x->v));
		for (int i = 0; x->numel && i < o->n * o->c; i++, p.v += p.h * p.w)
			augment_plane(p, &o->o, words + 12 * (i / o->c));
	}
	free(words);
	free(p.scratch);
	return fine;
}

/* ---- the family ---- */

#define SIZE(term, field, value, text)                                                                                 \
	{                                                                                                              \
		.name = term, .kind = CLEF__TERM_INT, .offset = offsetof(augment_opts, field), .preset = value,        \
		.most = 1e6, .about = text                                                                             \
	}
#define SHARE(term, field, text)                                                                                       \
	{                                                                                                              \
		.name = term, .kind = CLEF__TERM_FLOAT, .offset = offsetof(augment_opts, field), .about = text         \
	}

static const clef__term terms[] = {
	SIZE("n", n, 1, "images"),
	SIZE("c", c, 1, "channels"),
	SIZE("h", h, 1, "height"),
	SIZE("w", w, 1, "width"),
	SIZE("crop", crop, 0, "pixels of a border, out of which a part is cut"),
	SHARE("translate", o.translate, "share of the sides, to move by"),
	SHARE("flip", o.flip, "probability to mirror left to right"),
	SHARE("vflip", o.vflip, "probability to mirror upside down"),
	SIZE("erase", erase, 0, "pixels along a side of what is covered"),
	SHARE("erase_p", o.erase_p, "probability of that; 0: 1"),
	{ .name = "reflect",
	  .kind = CLEF__TERM_FLAG,
	  .offset = offsetof(augment_opts, o.reflect),
	  .about = "outside the image is mirrored" },
	{ NULL },
};

#define SEVERAL(images)                                                                                                \
	"augment " images " crop3 translate0.5 flip0.5 vflip0.3 erase3 erase_p0.7",                                    \
		"augment " images " crop3 translate0.4 flip0.5 vflip0.3 erase3 reflect",                               \
		"augment " images " crop3 translate0.9 flip0.5"
#define EACH(images)                                                                                                   \
	"augment " images, "augment " images " crop2", "augment " images " flip0.5", "augment " images " vflip0.5",    \
		"augment " images " erase3", "augment " images " crop3 reflect", "augment " images " translate0.3",    \
		"augment " images " translate0.99 reflect", "augment " images " erase2 erase_p0.5",                    \
		"augment " images " flip1 vflip1 erase4"
#define EDGE(images) "augment " images " translate0.9 flip1 vflip1 reflect"

static const char *const problems[] = {
	SEVERAL("n5 c2 h4 w5"),
	EACH("n5 c2 h4 w5"),
	SEVERAL("n2057 h5 w4"),
	EACH("n2057 h5 w4"),
	SEVERAL("n2 c3 h32 w32"),
	EACH("n2 c3 h32 w32"),
	EDGE("n3"),
	EDGE("n0 c3 h4 w4"),
	EDGE("n2 c0 h4 w4"),
	EDGE("n2 c3 h0 w4"),
	EDGE("n2 c3 h4 w0"),
	EDGE("n2 w9"),
	EDGE("n2 h9"),
};

const clef__family clef__family_augment = { .name = "augment",
					    .terms = terms,
					    .setup = setup,
					    .apply = apply,
					    .reference = reference,
					    CLEF__PROBLEMS(problems, 2) };
