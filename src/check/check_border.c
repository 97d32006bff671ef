/* SPDX-License-Identifier: Apache-2.0 */
/* Borders and repeats: pad and expand, by coordinates; values must arrive as they are. */
#include <clef/ops.h>

#include "families.h"
#include "places.h"

/* ---- pad ---- */

typedef struct pad_opts {
	clef_shape x;
	clef__list pad;  /* as given */
	clef_pad_opts o; /* with all of it */
} pad_opts;

static clef_status setup_pad(clef__problem *p)
{
	pad_opts *o = (void *)p->opts;

	for (int i = 0; i < o->pad.count; i++)
		o->o.pad[i] = (int)o->pad.v[i];
	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -8, .hi = 8, .whole = true };
	return CLEF_OK;
}

static clef_tensor *apply_pad(clef_tensor *const *x, const void *opts)
{
	return clef_pad(x[0], &((const pad_opts *)opts)->o);
}

/* Element i of a line that goes on by the mode's rule; -1 for a new one. Walks from the inside out. */
static int64_t beyond(int64_t i, int64_t size, clef_pad_mode mode)
{
	switch (mode) {
	case CLEF_PAD_ZEROS:
		break;
	case CLEF_PAD_REPLICATE:
		return i < 0 ? 0 : i < size ? i : size - 1;
	case CLEF_PAD_CIRCULAR:
		return i;
	case CLEF_PAD_REFLECT:
		while (i < 0 || i >= size)
			i = i < 0 ? -i : 2 * (size - 1) - i;
		return i;
	}
	return i < 0 || i >= size ? -1 : i;
}

static bool reference_pad(const clef__ref *x, const void *opts, clef__ref *y)
{
	const clef_pad_opts *o = &((const pad_opts *)opts)->o;

	for (int64_t i = y->from; i < y->to; i++) {
		place p = place_of(&y->shape, i);
		bool inside = true;

		for (int d = 0; d < y->shape.ndim; d++) {
			const int *border = &o->pad[2 * (y->shape.ndim - 1 - d)];
			int64_t first = border[0] < 0 ? -border[0] : 0;
			int64_t left = x->shape.dim[d] - first + (border[1] < 0 ? border[1] : 0);

			if (o->mode == CLEF_PAD_CIRCULAR)
				p.at[d] = first + (p.at[d] - border[0] - first + 4 * left) % left;
			else
				p.at[d] = beyond(p.at[d] - border[0], x->shape.dim[d], o->mode);
			inside = inside && p.at[d] >= 0;
		}
		y->v[i] = inside ? value_at(&x[0], &p) : (double)o->value;
	}
	return true;
}

static const char *const modes[] = { "zeros", "reflect", "replicate", "circular", NULL };

static const clef__term terms_pad[] = {
	{ .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(pad_opts, x), .about = "x" },
	{ .name = "pad",
	  .kind = CLEF__TERM_LIST,
	  .offset = offsetof(pad_opts, pad),
	  .about = "elements before and behind, from the last dimension on" },
	{ .name = "mode",
	  .kind = CLEF__TERM_WORD,
	  .offset = offsetof(pad_opts, o.mode),
	  .words = modes,
	  .about = "of the border" },
	{ .name = "value",
	  .kind = CLEF__TERM_FLOAT,
	  .offset = offsetof(pad_opts, o.value),
	  .about = "of the new elements in mode zeros" },
	{ NULL },
};

#define MODES(problem)                                                                                                 \
	"pad " problem, "pad " problem " mode=reflect", "pad " problem " mode=replicate",                              \
		"pad " problem " mode=circular"

static const char *const problems_pad[] = {
	"pad x1x3x4 pad2,1,1,2",
	"pad x1x3x4 pad2,1,1,2 mode=reflect",
	"pad x1x3x4 pad2,1,1,2 mode=circular",
	"pad x1x3x4 pad2,1,1,2 mode=replicate",
	MODES("x2x3x5x6 pad4,4,3,3"),
	MODES("x2x3x5x6 pad0,0,0,2"),
	MODES("x2x3x33 pad1,0,2,2,1,1"),
	MODES("x2x257 pad256,256"),
	MODES("x7x8 pad-2,3,2,-4"),
	MODES("x7x8 pad-2,-3,-3,-4"),
	MODES("x4x3"),
	MODES("x9 pad2,-3"),
	MODES("x0x3 pad2,2"),
	"pad x3x4 pad1,2,30,0 value-7",
	"pad x3x0 pad1,2 value3",
	"pad x1x1 pad5,9,3,0 mode=replicate",
	"pad x2x3 pad-4,6 mode=replicate",
	"pad x2x3 pad6,-4 mode=replicate",
	"pad x2x3 pad3,3 mode=circular",
	"pad x2x3 pad-4,2 mode=reflect",
};

const clef__family clef__family_pad = { .name = "pad",
					.terms = terms_pad,
					.setup = setup_pad,
					.apply = apply_pad,
					.reference = reference_pad,
					CLEF__PROBLEMS(problems_pad, 4) };

/* ---- expand ---- */

typedef struct expand_opts {
	clef_shape x;
	clef__list to;
} expand_opts;

static clef_status setup_expand(clef__problem *p)
{
	const expand_opts *o = (const void *)p->opts;

	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -8, .hi = 8, .whole = true };
	return CLEF_OK;
}

static clef_tensor *apply_expand(clef_tensor *const *x, const void *opts)
{
	const expand_opts *o = opts;
	clef_shape to = { .ndim = o->to.count };

	memcpy(to.dim, o->to.v, sizeof(o->to.v));
	return clef_expand(x[0], to);
}

static bool reference_expand(const clef__ref *x, const void *opts, clef__ref *y)
{
	(void)opts;
	for (int64_t i = y->from; i < y->to; i++)
		y->v[i] = x->v[clef__ref_broadcast(&y->shape, &x->shape, i)];
	return true;
}

static const clef__term terms_expand[] = {
	{ .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(expand_opts, x), .about = "x" },
	{ .name = "to",
	  .kind = CLEF__TERM_LIST,
	  .offset = offsetof(expand_opts, to),
	  .about = "the new shape, with commas; -1 keeps a size" },
	{ NULL },
};

static const char *const problems_expand[] = {
	"expand x2x1 to2,3",    "expand x1x3x1 to5,-1,7", "expand x3 to2,4,3",
	"expand x1 to257,33",   "expand x=scalar to3,2",  "expand x2x3 to2,3",
	"expand x2x3 to1,2,-1", "expand x2x1 to2,0",      "expand x0x1 to4,0,3",
};

const clef__family clef__family_expand = { .name = "expand",
					   .terms = terms_expand,
					   .setup = setup_expand,
					   .apply = apply_expand,
					   .reference = reference_expand,
					   CLEF__PROBLEMS(problems_expand, 1) };
