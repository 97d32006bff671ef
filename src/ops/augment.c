/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Augmentation of images: one kernel, after the upload, so that the host's part of a batch stays what it was, and the
 * numbers that it is drawn with are those of a batch, not of a position in some stream.
 */
#include <math.h>

#include <clef/ops.h>

#include "divide.h"
#include "tape.h"

enum { CPU_ROWS = 16 };
#define CPU_DEFINES "#define ROWS 16\n"

typedef struct augment_opts {
	clef_augment_opts given;
	clef_rng rng;
} augment_opts;

static clef_status check_share(const clef__node *n, const char *name, float value)
{
	if (value >= 0 && value <= 1)
		return CLEF_OK;
	return clef__op_fail(n, CLEF_ERROR_INVALID, "%s is %g: 0 to 1 are allowed", name, (double)value);
}

static clef_status check_pixels(const clef__node *n, const char *name, int64_t value, int64_t limit)
{
	if (value >= 0 && value <= limit)
		return CLEF_OK;
	return clef__op_fail(n, CLEF_ERROR_INVALID, "%s is %lld: 0 to %lld are allowed for images of %s", name,
			     (long long)value, (long long)limit, CLEF__SHAPE_TEXT(n->x[0]->shape));
}

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const clef_augment_opts *o = &((const augment_opts *)n->opts)->given;
	clef_status status = clef__op_dtype(n, 0, "x", CLEF_FLOAT32);
	int64_t side;

	(void)dtype;
	*shape = n->x[0]->shape;
	if (!status && shape->ndim != 4)
		status = clef__op_fail(n, CLEF_ERROR_SHAPE, "x has shape %s, expected [n, channels, height, width]",
				       CLEF__SHAPE_TEXT(*shape));
	if (status)
		return status;
	side = CLEF__MIN(shape->dim[2], shape->dim[3]);
	status = check_pixels(n, "crop", o->crop, CLEF__MAX(side - 1, 0));
	if (!status)
		status = check_pixels(n, "erase", o->erase, side);
	if (!status && !(o->translate >= 0 && o->translate < 1))
		status = clef__op_fail(n, CLEF_ERROR_INVALID, "translate is %g: 0 to below 1 is allowed",
				       (double)o->translate);
	if (!status)
		status = check_share(n, "flip", o->flip);
	if (!status)
		status = check_share(n, "vflip", o->vflip);
	return status ? status : check_share(n, "erase_p", o->erase_p);
}

/* At most size - 1, so that a mirrored pixel is one of the image. */
static int32_t pixels(float share, int64_t size)
{
	return (int32_t)CLEF__MIN((int64_t)round((double)share * (double)size), size - 1);
}

static clef__arg threshold(float p)
{
	return (clef__arg)CLEF__UINT(ceil((double)p * 0x1p24));
}

static clef_status forward(const clef__node *n)
{
	const augment_opts *opts = n->opts;
	const clef_augment_opts *o = &opts->given;
	const clef_tensor *x = n->x[0], *y = n->y;
	const int64_t *dim = x->shape.dim;
	/* Many small pieces keep a GPU busy; a CPU would spend its time on their random numbers. */
	const bool wide = clef_device_get_info(x->dev)->float_vector > 1;
	const int64_t pieces = wide ? (dim[2] + CPU_ROWS - 1) / CPU_ROWS : dim[2];
	const int64_t count = pieces * dim[0] * dim[1];
	clef__arg image = { .kind = CLEF__ARG_INT8 };
	/* -0 is a zero that is meant. */
	float erase_p = o->erase_p > 0 || signbit(o->erase_p) ? o->erase_p : 1;

	if (x->numel == 0)
		return CLEF_OK;
	memcpy(image.value.i8,
	       ((int32_t[]){ (int32_t)dim[2], (int32_t)dim[3], (int32_t)o->crop, pixels(o->translate, dim[2]),
			     pixels(o->translate, dim[3]), (int32_t)o->erase, o->reflect, 0 }),
	       8 * sizeof(int32_t));
	return clef__launch(x->dev,
			    &(clef__launch_opts){
				    .program = "augment",
				    .defines = wide ? CPU_DEFINES : "#define ROWS 1\n",
				    .kernel = "augment",
				    .global = { (size_t)count },
				    .bytes = 8.0 * (double)x->numel,
				    .args = { CLEF__TENSOR(x), CLEF__TENSOR(y), image, threshold(o->flip),
					      threshold(o->vflip), threshold(erase_p), CLEF__DIVIDER(pieces),
					      CLEF__DIVIDER(dim[1]), CLEF__ULONG(opts->rng.seed),
					      CLEF__ULONG(opts->rng.counter), CLEF__INT(pieces), CLEF__INT(count) },
			    });
}

static const clef__op augment = { "augment", infer, forward, NULL };

clef_tensor *clef_augment(clef_tensor *x, const clef_augment_opts *opts, clef_rng *rng)
{
	augment_opts o = { .given = { .crop = 0 } };
	clef_tensor *y;

	if (x && !rng)
		return clef__fail_null(CLEF_ERROR_INVALID, "augment: rng is NULL, expected a stream of random numbers");
	if (opts)
		o.given = *opts;
	if (rng)
		o.rng = *rng;
	y = clef__apply(&augment, &x, 1, &o, sizeof(o));
	if (y)
		rng->counter++;
	return y;
}
