/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions as matrix products. The pixels that the outputs see are laid out as a matrix of c * r * s rows, with a
 * column for each output pixel; the weights are a matrix as they stand. Images are taken in batches, so large that the
 * product is worth its launch, and so small that the matrix is bounded. A batch of one image lands where it belongs;
 * the products of several have the outputs of all images side by side and must be brought into their order. A kernel of
 * one pixel with stride 1 needs no matrix: the image is it.
 */
#include "conv_internal.h"

/* Output pixels in a batch of several images, and elements of the larger of its matrices. */
#define COLUMNS        8192
#define ELEMENTS       (1 << 24)
#define ELEMENTS_IMAGE (1 << 26) /* of the matrix of one image */

/* Grouped: fewer channels than these make products that are too small. */
#define MIN_OUTPUTS 8
#define MIN_DEPTH   32

typedef struct plan {
	bool pointwise; /* images are matrices */
	int images;     /* in a batch */
	int pixels;     /* of an output */
	int depth;      /* of a product: rows of a group's matrix */
} plan;

typedef struct matrix {
	const clef_tensor *x;
	size_t offset; /* in x */
	int columns;
} matrix;

static bool fits(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	double depth = (double)(g->c / g->groups) * g->r * g->s, elements = depth * g->groups * g->oh * g->ow;
	bool grouped = g->groups > 1 && (g->k / g->groups < MIN_OUTPUTS || depth < MIN_DEPTH);

	(void)way;
	return g->n > 0 && elements > 0 && g->k > 0 && !grouped && elements <= ELEMENTS_IMAGE &&
	       4 * elements <= (double)clef_device_get_info(dev)->max_allocation;
}

static plan make_plan(const clef__conv *g)
{
	plan p = { .pixels = g->oh * g->ow, .depth = g->c / g->groups * g->r * g->s };
	int elements = CLEF__MAX(p.depth * g->groups, g->k) * p.pixels;

	p.pointwise = g->r == 1 && g->s == 1 && g->stride_h == 1 && g->stride_w == 1 && g->pad_top == 0 &&
		      g->pad_left == 0 && g->h == g->oh && g->w == g->ow;
	p.images = CLEF__MIN(CLEF__MIN(clef__divide_up(COLUMNS, p.pixels), ELEMENTS / elements), g->n);
	/* Large enough as it is. */
	if (p.images < 1 || (p.pointwise && p.pixels >= COLUMNS / 16))
		p.images = 1;
	p.pointwise = p.pointwise && p.images == 1;
	return p;
}

/* For each group: c = op(a) op(b) + beta c. The groups' matrices lie one behind the other in each of them. */
static clef_status product(const clef__conv *g, const matrix *a, bool trans_a, const matrix *b, bool trans_b,
			   const int mnk[3], float beta, const matrix *c)
{
	size_t a_step = (size_t)mnk[0] * (size_t)mnk[2], b_step = (size_t)mnk[1] * (size_t)mnk[2],
	       c_step = (size_t)mnk[0] * (size_t)mnk[1];
	clef_status status = CLEF_OK;

	for (size_t i = 0; i < (size_t)g->groups && !status; i++)
		status = clef__gemm(c->x->dev, &(clef__gemm_opts){
						       .trans_a = trans_a,
						       .trans_b = trans_b,
						       .m = mnk[0],
						       .n = mnk[1],
						       .k = mnk[2],
						       .alpha = 1,
						       .beta = beta,
						       .a = a->x->buffer,
						       .a_offset = a->x->offset + a->offset + i * a_step,
						       .lda = a->columns,
						       .b = b->x->buffer,
						       .b_offset = b->x->offset + b->offset + i * b_step,
						       .ldb = b->columns,
						       .c = c->x->buffer,
						       .c_offset = c->x->offset + c->offset + i * c_step,
						       .ldc = c->columns,
					       });
	return status;
}

/* ---- kernels ---- */

static const clef__conv_epilogue none;

/* Of so many pixels in memory, those for one work-item. */
static int pixel_span(const clef_device *dev, int pixels)
{
	return clef__conv_span(dev) > 1 ? CLEF__MIN(pixels, 1024) : 1;
}

/* y [images][planes][pixels] through the epilogue, in place */
static clef_status finish(const clef__conv_epilogue *e, int images, int planes, int pixels, const clef_tensor *y)
{
	int span = pixel_span(y->dev, pixels), items = images * planes * clef__divide_up(pixels, span);
	const clef_tensor *b = e->bias ? e->bias : y;

	return clef__launch(y->dev,
			    &(clef__launch_opts){
				    .program = "im2col",
				    .defines = clef__activation_defines(e->activation),
				    .kernel = "finish_planes",
				    .label = "conv epilogue",
				    .global = { (size_t)items },
				    .bytes = 8.0 * (double)y->numel,
				    .args = { CLEF__TENSOR(b), CLEF__INT(e->bias != NULL), CLEF__TENSOR(y),
					      CLEF__FLOAT(e->activation.p), CLEF__FLOAT(e->activation.q),
					      CLEF__INT(planes), CLEF__INT(pixels), CLEF__INT(span), CLEF__INT(items) },
			    });
}

static clef_status im2col(const clef__conv *g, const clef_tensor *x, int first, int images, const clef_tensor *col)
{
	int span = pixel_span(x->dev, g->ow), rows = g->c * g->r * g->s * images * g->oh;
	int items = rows * clef__divide_up(g->ow, span);

	return clef__launch(x->dev,
			    &(clef__launch_opts){
				    .program = "im2col",
				    .kernel = "im2col",
				    .global = { (size_t)items },
				    .bytes = 4.0 * ((double)rows * g->ow + (double)images * g->c * g->h * g->w),
				    .args = { CLEF__BUFFER(x->buffer, x->offset + (size_t)first * (size_t)g->c *
											  (size_t)g->h * (size_t)g->w),
					      CLEF__TENSOR(col), clef__conv_size(g), clef__conv_step(g),
					      CLEF__INT(images), CLEF__INT(span), CLEF__INT(items) },
			    });
}

static clef_status col2im(const clef__conv *g, const clef_tensor *col, const clef__conv_epilogue *e, float beta,
			  int first, int images, const clef_tensor *x)
{
	int items = images * g->c * g->h * clef__divide_up(g->w, clef__conv_span(x->dev));
	size_t image = (size_t)g->c * (size_t)g->h * (size_t)g->w;
	const clef_tensor *b = e->bias ? e->bias : col;

	return clef__launch(
		x->dev, &(clef__launch_opts){
				.program = "im2col",
				.defines = clef__activation_defines(e->activation),
				.kernel = "col2im",
				.global = { (size_t)items },
				.long_items = true,
				.bytes = 4.0 * ((double)images * g->c * g->r * g->s * g->oh * g->ow +
						(double)images * (double)image),
				.args = { CLEF__TENSOR(col), CLEF__TENSOR(b), CLEF__INT(e->bias != NULL),
					  CLEF__BUFFER(x->buffer, x->offset + (size_t)first * image), CLEF__FLOAT(beta),
					  CLEF__FLOAT(e->activation.p), CLEF__FLOAT(e->activation.q),
					  clef__conv_size(g), clef__conv_step(g), CLEF__INT(images), CLEF__INT(items) },
			});
}

/* to [b][a][pixels] = beta to + from [a][b][pixels], through the epilogue with a bias [a] */
static clef_status swap_planes(const clef_tensor *from, size_t from_offset, const clef__conv_epilogue *e, float beta,
			       int a, int b, int pixels, const clef_tensor *to, size_t to_offset)
{
	int span = pixel_span(to->dev, pixels), items = a * b * clef__divide_up(pixels, span);
	const clef_tensor *add = e->bias ? e->bias : from;

	return clef__launch(
		to->dev,
		&(clef__launch_opts){
			.program = "im2col",
			.defines = clef__activation_defines(e->activation),
			.kernel = "swap_planes",
			.label = "conv reorder",
			.global = { (size_t)items },
			.bytes = 8.0 * a * b * pixels,
			.args = { CLEF__BUFFER(from->buffer, from->offset + from_offset), CLEF__TENSOR(add),
				  CLEF__INT(e->bias != NULL), CLEF__BUFFER(to->buffer, to->offset + to_offset),
				  CLEF__FLOAT(beta), CLEF__FLOAT(e->activation.p), CLEF__FLOAT(e->activation.q),
				  CLEF__INT(a), CLEF__INT(b), CLEF__INT(pixels), CLEF__INT(span), CLEF__INT(items) },
		});
}

/* ---- a batch of images, as matrices ---- */

typedef struct batch {
	plan p;
	clef_tensor *col; /* NULL: pointwise */
	clef_tensor *out; /* outputs side by side; NULL: one image at a time */
	int first, images, columns;
} batch;

static clef_status batch_new(const clef__node *n, const clef__conv *g, batch *b)
{
	int64_t columns;

	*b = (batch){ .p = make_plan(g) };
	columns = (int64_t)b->p.images * b->p.pixels;
	if (!b->p.pointwise)
		b->col = clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE((int64_t)g->groups * b->p.depth, columns));
	if (b->p.images > 1)
		b->out = clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(g->k, columns));
	return (!b->col && !b->p.pointwise) || (!b->out && b->p.images > 1) ? clef_error_status() : CLEF_OK;
}

static void batch_free(batch *b)
{
	clef__scratch_free(b->col);
	clef__scratch_free(b->out);
}

static bool batch_next(const clef__conv *g, batch *b)
{
	b->first += b->images;
	b->images = CLEF__MIN(b->p.images, g->n - b->first);
	b->columns = b->images * b->p.pixels;
	return b->images > 0;
}

/* The matrix of the batch's images; they themselves or room for them. */
static matrix batch_col(const clef__conv *g, const batch *b, const clef_tensor *x)
{
	size_t image = (size_t)g->c * (size_t)b->p.pixels;

	return b->p.pointwise ? (matrix){ x, (size_t)b->first * image, b->columns } : (matrix){ b->col, 0, b->columns };
}

/* The matrix of the batch's outputs: in y or on its own. */
static matrix batch_out(const clef__conv *g, const batch *b, const clef_tensor *y)
{
	size_t image = (size_t)g->k * (size_t)b->p.pixels;

	return b->out ? (matrix){ b->out, 0, b->columns } : (matrix){ y, (size_t)b->first * image, b->columns };
}

static size_t batch_offset(const clef__conv *g, const batch *b)
{
	return (size_t)b->first * (size_t)g->k * (size_t)b->p.pixels;
}

/* Brings outputs that are somewhere else into the matrix. */
static clef_status load_out(const clef__conv *g, const batch *b, const clef_tensor *y)
{
	if (!b->out)
		return CLEF_OK;
	return swap_planes(y, batch_offset(g, b), &none, 0, b->images, g->k, b->p.pixels, b->out, 0);
}

static clef_status load_col(const clef__conv *g, const batch *b, const clef_tensor *x)
{
	return b->p.pointwise ? CLEF_OK : im2col(g, x, b->first, b->images, b->col);
}

/* ---- the three computations ---- */

static bool does_something(const clef__conv_epilogue *e)
{
	return e->bias || e->activation.kind;
}

static clef_status forward(const clef__node *n, const clef__conv *g, const clef_tensor *x, const clef_tensor *w,
			   const clef__conv_epilogue *given, float beta, const clef_tensor *y)
{
	const clef__conv_epilogue *e = given ? given : &none;
	batch b;
	clef_status status = batch_new(n, g, &b);
	bool in_place = !b.out;

	while (!status && batch_next(g, &b)) {
		const matrix weights = { w, 0, b.p.depth }, col = batch_col(g, &b, x), out = batch_out(g, &b, y);

		status = load_col(g, &b, x);
		if (!status)
			status = product(g, &weights, false, &col, false,
					 (const int[]){ g->k / g->groups, b.columns, b.p.depth }, in_place ? beta : 0,
					 &out);
		if (!status && !in_place)
			status = swap_planes(b.out, 0, e, beta, g->k, b.images, b.p.pixels, y, batch_offset(g, &b));
	}
	if (!status && in_place && does_something(e))
		status = finish(e, g->n, g->k, b.p.pixels, y);
	batch_free(&b);
	return status;
}

static clef_status backward_data(const clef__node *n, const clef__conv *g, const clef_tensor *y, const clef_tensor *w,
				 const clef__conv_epilogue *given, float beta, const clef_tensor *x)
{
	const clef__conv_epilogue *e = given ? given : &none;
	batch b;
	clef_status status = batch_new(n, g, &b);
	bool in_place = !b.col;

	while (!status && batch_next(g, &b)) {
		const matrix weights = { w, 0, b.p.depth }, col = batch_col(g, &b, x), out = batch_out(g, &b, y);

		status = load_out(g, &b, y);
		if (!status)
			status = product(g, &weights, true, &out, false,
					 (const int[]){ b.p.depth, b.columns, g->k / g->groups }, in_place ? beta : 0,
					 &col);
		if (!status && !in_place)
			status = col2im(g, b.col, e, beta, b.first, b.images, x);
	}
	if (!status && in_place && does_something(e))
		status = finish(e, g->n, g->c, b.p.pixels, x);
	batch_free(&b);
	return status;
}

static clef_status backward_weights(const clef__node *n, const clef__conv *g, const clef_tensor *x,
				    const clef_tensor *y, float beta, clef_tensor *w)
{
	batch b;
	clef_status status = batch_new(n, g, &b);

	while (!status && batch_next(g, &b)) {
		const matrix weights = { w, 0, b.p.depth }, col = batch_col(g, &b, x), out = batch_out(g, &b, y);

		status = load_col(g, &b, x);
		if (!status)
			status = load_out(g, &b, y);
		if (!status)
			status = product(g, &out, false, &col, true,
					 (const int[]){ g->k / g->groups, b.p.depth, b.columns },
					 b.first == 0 ? beta : 1, &weights);
	}
	batch_free(&b);
	return status;
}

const clef__conv_impl clef__conv_im2col = { "im2col", fits, NULL, forward, backward_data, backward_weights };
