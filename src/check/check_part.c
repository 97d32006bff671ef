/* SPDX-License-Identifier: Apache-2.0 */
/* Parts: slice, and split with its parts joined again, by coordinates; values must arrive as they are. */
#include <clef/ops.h>

#include "families.h"
#include "places.h"

/* ---- slice ---- */

typedef struct slice_opts {
	clef_shape x;
	int dim;
	clef__list range; /* start, stop, step, of which those behind may be left out */
} slice_opts;

static int64_t range_at(const slice_opts *o, int i, int64_t preset)
{
	return i < o->range.count ? o->range.v[i] : preset;
}

static clef_status setup_slice(clef__problem *p)
{
	const slice_opts *o = (const void *)p->opts;

	if (o->range.count > 3)
		return clef__fail(CLEF_ERROR_INVALID, "problem: slice wants start, stop and step, as in range1,4,2");
	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -8, .hi = 8, .whole = true };
	return CLEF_OK;
}

static clef_tensor *apply_slice(clef_tensor *const *x, const void *opts)
{
	const slice_opts *o = opts;

	return clef_slice(x[0], o->dim, range_at(o, 0, 0), range_at(o, 1, CLEF_END), range_at(o, 2, 1));
}

/* Goes through the dimension of x, so that y's size is found as well. */
static bool reference_slice(const clef__ref *x, const void *opts, clef__ref *y)
{
	const slice_opts *o = opts;
	int dim = dim_of(&x->shape, o->dim);
	int64_t size = x->shape.dim[dim], taken = 0;
	int64_t start = range_at(o, 0, 0), stop = range_at(o, 1, CLEF_END), step = range_at(o, 2, 1);

	start = CLEF__MAX(start + (start < 0 ? size : 0), 0);
	stop += stop < 0 ? size : 0;
	for (int64_t k = 0; k < size; k++) {
		if (k < start || k >= stop || (k - start) % step != 0)
			continue;
		for (int64_t i = 0; i < y->numel; i++) {
			place p = place_of(&y->shape, i);

			if (p.at[dim] != taken)
				continue;
			p.at[dim] = k;
			y->v[i] = value_at(&x[0], &p);
		}
		taken++;
	}
	if (y->shape.dim[dim] == taken)
		return true;
	clef__fail(CLEF_ERROR_SHAPE, "y has shape %s, expected %lld elements in dimension %d",
		   CLEF__SHAPE_TEXT(y->shape), (long long)taken, dim);
	return false;
}

static const clef__term terms_slice[] = {
	{ .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(slice_opts, x), .about = "x" },
	{ .name = "dim", .kind = CLEF__TERM_INT, .offset = offsetof(slice_opts, dim), .about = "dimension" },
	{ .name = "range",
	  .kind = CLEF__TERM_LIST,
	  .offset = offsetof(slice_opts, range),
	  .about = "start, stop and step; left out: 0, to the end, 1" },
	{ NULL },
};

static const char *const problems_slice[] = {
	"slice x4x5 dim1 range1,4,2",
	"slice x4x5 range0",
	"slice x33x5x3 range1,30,4",
	"slice x33x5x3 dim-2 range-3,-1",
	"slice x5x257 dim-1 range-100,9223372036854775807,3",
	"slice x3x2600 dim1 range1,2590",
	"slice x5x9 dim1 range-100,100",
	"slice x5x9 dim1 range3,3",
	"slice x5x9 dim1 range7,2",
	"slice x5x9 dim1 range20,30",
	"slice x5x9 range2,9223372036854775807,9223372036854775807",
	"slice x5x0 dim1 range0,3",
	"slice x7 range2,5",
};

const clef__family clef__family_slice = { .name = "slice",
					  .terms = terms_slice,
					  .setup = setup_slice,
					  .apply = apply_slice,
					  .reference = reference_slice,
					  CLEF__PROBLEMS(problems_slice, 2) };

/* ---- split ---- */

typedef struct split_opts {
	clef_shape x;
	int dim, size;
	clef__list use; /* the parts that are joined to one result, in this order; without any, all */
} split_opts;

static int parts_of(const split_opts *o)
{
	int dim = dim_of(&o->x, o->dim);
	int64_t length = dim < 0 ? 0 : o->x.dim[dim];

	return length ? (int)((length + o->size - 1) / o->size) : 1;
}

static clef_status setup_split(clef__problem *p)
{
	const split_opts *o = (const void *)p->opts;

	for (int i = 0; i < o->use.count; i++)
		if (o->use.v[i] < 0 || o->use.v[i] >= parts_of(o))
			return clef__fail(CLEF_ERROR_INVALID, "problem: split: part %lld of %d, counted from 0",
					  (long long)o->use.v[i], parts_of(o));
	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -8, .hi = 8, .whole = true };
	return CLEF_OK;
}

static clef_tensor *apply_split(clef_tensor *const *x, const void *opts)
{
	const split_opts *o = opts;
	int count = parts_of(o);
	clef_tensor **parts = clef__calloc((size_t)count, sizeof(*parts), "the parts of a split");
	clef_tensor *used[CLEF_MAX_DIMS], *y = NULL;

	if (parts && !clef_split(x[0], o->size, o->dim, parts, count)) {
		for (int i = 0; i < o->use.count; i++)
			used[i] = parts[o->use.v[i]];
		y = o->use.count ? clef_cat(used, o->use.count, o->dim) : clef_cat(parts, count, o->dim);
	}
	free(parts);
	return y;
}

static bool reference_split(const clef__ref *x, const void *opts, clef__ref *y)
{
	const split_opts *o = opts;
	int dim = dim_of(&x->shape, o->dim);

	for (int64_t i = y->from; i < y->to; i++) {
		place p = place_of(&y->shape, i);
		int64_t left = p.at[dim];

		for (int k = 0; k < o->use.count; k++) {
			int64_t first = o->use.v[k] * o->size, size = CLEF__MIN(o->size, x->shape.dim[dim] - first);

			if (left < size) {
				p.at[dim] = first + left;
				break;
			}
			left -= size;
		}
		y->v[i] = value_at(&x[0], &p);
	}
	return true;
}

static const clef__term terms_split[] = {
	{ .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(split_opts, x), .about = "x" },
	{ .name = "size",
	  .kind = CLEF__TERM_INT,
	  .offset = offsetof(split_opts, size),
	  .preset = 1,
	  .least = 1,
	  .most = 1e9,
	  .about = "of a part" },
	{ .name = "dim", .kind = CLEF__TERM_INT, .offset = offsetof(split_opts, dim), .about = "dimension" },
	{ .name = "use",
	  .kind = CLEF__TERM_LIST,
	  .offset = offsetof(split_opts, use),
	  .about = "parts, from 0, that make the result; left out: all" },
	{ NULL },
};

/* The last part, then the first: each has a gradient of its own, and the middle one has none. */
static const char *const problems_split[] = {
	"split x3x5 size2 dim-1 use2,0", "split x3x5 size2 dim-1", "split x33x5 size10 use1,3,0,2",
	"split x4x3x7 size100 dim1",     "split x5x0 size3 dim1",
};

const clef__family clef__family_split = { .name = "split",
					  .terms = terms_split,
					  .setup = setup_split,
					  .apply = apply_split,
					  .reference = reference_split,
					  CLEF__PROBLEMS(problems_split, 1) };
