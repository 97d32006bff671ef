/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions of 3 x 3 with stride 1 on GPUs, by the kernels of cl/conv_winograd_gpu.cl. The gradient to the images is
 * such a convolution too, with the weights turned round. The 36 products are those of a convolution of 1 x 1 in 36
 * groups, to its images, when its outputs are the transformed tiles, all in a row: that way the transformed weights,
 * [channels][outputs], are copied to local memory as they lie. So the kernel of conv_gemm.c and its tiles serve here.
 * Rows and columns are rounded up to whole float4s, so that the program is the same for all shapes.
 *
 * Transforms go by way of global memory, unlike those for CPUs: a work-group has too little local memory for 36
 * products that are worth the name. Of what lies there, there is a part at a time.
 */
#include <limits.h>

#include "conv_internal.h"

#define POINTS 36

/* Of transformed weights, and of transformed images and products together: 64 MB, enough to keep a large device busy.
 */
#define MAX_FLOATS (1 << 24)
/* The widest tile of conv_gemm.c, in columns. */
#define MIN_COLUMNS 128
/* What a device computes while a byte comes from its memory: 15 TFLOPS and 900 GB/s. */
#define FLOPS_A_BYTE 17

/* Those of conv_gemm.c, then tiles and outputs at a time. */
enum { PRODUCT_PARAMS = 6, TILES = PRODUCT_PARAMS, ROWS };
static const char *const params[] = { "tm", "tn", "tk", "mr", "nr", "ku", "tiles", "rows", NULL };

typedef struct plan {
	int tiles;         /* of all images */
	int columns, rows; /* tiles and outputs at a time */
	clef__conv products;
} plan;

static int in_fours(int n)
{
	return clef__divide_up(n, 4) * 4;
}

/* As many of `all` as memory has room for, or fewer where that is asked for. */
static int at_once(int all, int most, int wanted)
{
	return in_fours(clef__conv_part(all, (size_t)(wanted ? CLEF__MIN(wanted, most) : most)));
}

/* g forward. */
static plan make_plan(const clef__conv *g)
{
	plan p = { .tiles = (int)clef__winograd_tiles(g) };

	p.rows = at_once(g->k, CLEF__MAX(MAX_FLOATS / POINTS / g->c, 4), g->param[ROWS]);
	p.columns = at_once(p.tiles, CLEF__MAX(MAX_FLOATS / POINTS / (g->c + p.rows), MIN_COLUMNS), g->param[TILES]);
	p.products = (clef__conv){ .n = 1,
				   .c = POINTS * p.rows,
				   .h = 1,
				   .w = p.columns,
				   .k = POINTS * g->c,
				   .r = 1,
				   .s = 1,
				   .oh = 1,
				   .ow = p.columns,
				   .stride_h = 1,
				   .stride_w = 1,
				   .dilation_h = 1,
				   .dilation_w = 1,
				   .groups = POINTS };
	memcpy(p.products.param, g->param, PRODUCT_PARAMS * sizeof(g->param[0]));
	return p;
}

/* ---- where it is right, and where it is a good choice ---- */

/* Indices into a matrix are ints. */
static bool is_small(const clef__conv *g)
{
	return (double)POINTS * MIN_COLUMNS * CLEF__MAX(g->c, g->k) <= INT_MAX;
}

/* More tiles at a time than there are would be measured in vain. */
static bool fits(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	const clef__conv as = clef__winograd_forward(g, way);
	plan p;

	if (!clef__winograd_does(g) || !is_small(g) || g->param[TILES] >= clef__winograd_tiles(&as))
		return false;
	p = make_plan(&as);
	return clef__conv_gemm.fits(dev, &p.products, CLEF__CONV_BACKWARD_DATA);
}

/*
 * Three quarters of the multiplications are saved, less where tiles reach beyond the image; for that the 36 points of
 * each matrix are written and read once. Of what else the two cost, the transforms' additions and the looking up of
 * pixels, neither seems to be more than the other. On a CPU work-groups with barriers are a hundred times too slow.
 */
static bool pays(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	const clef__conv as = clef__winograd_forward(g, way);
	double c = g->c, k = g->k, pixels = (double)as.n * as.oh * as.ow, tiles = clef__winograd_tiles(&as);
	double saved = 2 * c * k * (9 * pixels - POINTS * tiles);
	double bytes = 2 * POINTS * sizeof(float) * (c * k + (c + k) * tiles);

	return clef_device_get_info(dev)->kind != CLEF_DEVICE_CPU && saved > FLOPS_A_BYTE * bytes;
}

static const int *candidate(const clef_device *dev, int i)
{
	/* What is between the kernels may stay in a cache. */
	static const int own[][CLEF__CONV_PARAMS] = { { [TILES] = 512 }, { [TILES] = 2048 } };

	return i < CLEF_COUNT(own) ? own[i] : clef__conv_gemm.candidate(dev, i - CLEF_COUNT(own));
}

/* ---- launches ---- */

static clef_status transform_weights(const plan *p, const clef__conv *g, const clef_tensor *w, bool turned,
				     int first_row, const clef_tensor *u)
{
	return clef__launch(u->dev,
			    &(clef__launch_opts){
				    .program = "conv_winograd_gpu",
				    .defines = CLEF__FLOOR,
				    .kernel = "winograd_gpu_weights",
				    .global = { (size_t)p->rows, (size_t)g->c },
				    .bytes = 4.0 * ((double)u->numel * 9 / POINTS + (double)u->numel),
				    .args = { CLEF__TENSOR(w), CLEF__TENSOR(u), CLEF__INT(g->k), CLEF__INT(g->c),
					      CLEF__INT(turned), CLEF__INT(first_row), CLEF__INT(p->rows) },
			    });
}

static clef_status transform_input(const plan *p, const clef__conv *g, const clef_tensor *x, int first_column,
				   const clef_tensor *v)
{
	return clef__launch(v->dev,
			    &(clef__launch_opts){
				    .program = "conv_winograd_gpu",
				    .defines = CLEF__FLOOR,
				    .kernel = "winograd_gpu_input",
				    .global = { (size_t)p->columns, (size_t)g->c },
				    .bytes = 4.0 * ((double)v->numel * 16 / POINTS + (double)v->numel),
				    .args = { CLEF__TENSOR(x), CLEF__TENSOR(v), CLEF__INT(g->n), clef__conv_size(g),
					      clef__conv_step(g), CLEF__INT(first_column), CLEF__INT(p->columns) },
			    });
}

/* x and w serve tiles that are not finite. */
static clef_status transform_output(const plan *p, const clef__conv *g, const clef_tensor *x, const clef_tensor *w,
				    bool turned, const clef_tensor *m, const clef__conv_epilogue *given, float beta,
				    const clef_tensor *y, int first_column, int first_row)
{
	clef__conv_epilogue e = given ? *given : (clef__conv_epilogue){ NULL };
	const clef_tensor *bias = e.bias ? e.bias : w;
	const char *defines = clef__activation_floor(&e.activation);

	return clef__launch(
		y->dev,
		&(clef__launch_opts){
			.program = "conv_winograd_gpu",
			.defines = defines,
			.kernel = "winograd_gpu_output",
			.global = { (size_t)p->columns, (size_t)CLEF__MIN(p->rows, g->k - first_row) },
			.bytes = 4.0 * ((double)m->numel + (double)m->numel * 16 / POINTS),
			.args = { CLEF__TENSOR(x), CLEF__TENSOR(w), CLEF__INT(turned), CLEF__TENSOR(m),
				  CLEF__TENSOR(bias), CLEF__INT(e.bias != NULL), CLEF__TENSOR(y), CLEF__FLOAT(beta),
				  CLEF__FLOAT(e.activation.p), CLEF__FLOAT(e.activation.q), CLEF__INT(g->n),
				  clef__conv_size(g), clef__conv_step(g), CLEF__INT(first_column),
				  CLEF__INT(p->columns), CLEF__INT(first_row), CLEF__INT(p->rows) },
		});
}

/* ---- all of it ---- */

typedef struct scratch {
	clef_tensor *u, *v, *m;
} scratch;

/* All outputs or some of them, whose weights have been transformed. */
static clef_status multiply(const plan *p, const clef__conv *g, const clef_tensor *x, const clef_tensor *w, bool turned,
			    const scratch *s, const clef__conv_epilogue *e, float beta, const clef_tensor *y,
			    int first_row)
{
	clef_status status = CLEF_OK;

	for (int column = 0; column < p->tiles && !status; column += p->columns) {
		/* All tiles at once stay from the first outputs on. */
		if (first_row == 0 || p->columns < p->tiles)
			status = transform_input(p, g, x, column, s->v);
		if (!status)
			status = clef__conv_gemm_backward_data("winograd_gpu_products", &p->products, s->v, s->u, NULL,
							       0, s->m);
		if (!status)
			status = transform_output(p, g, x, w, turned, s->m, e, beta, y, column, first_row);
	}
	return status;
}

static clef_status run(const clef__node *n, const clef__conv *g, const clef_tensor *x, const clef_tensor *w,
		       bool turned, const clef__conv_epilogue *e, float beta, const clef_tensor *y)
{
	const plan p = make_plan(g);
	clef_status status;
	scratch s = { NULL };

	s.u = clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(POINTS, g->c, p.rows));
	s.v = s.u ? clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(POINTS, g->c, p.columns)) : NULL;
	s.m = s.v ? clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(POINTS, p.rows, p.columns)) : NULL;
	status = s.m ? CLEF_OK : clef_error_status();
	for (int row = 0; row < g->k && !status; row += p.rows) {
		status = transform_weights(&p, g, w, turned, row, s.u);
		if (!status)
			status = multiply(&p, g, x, w, turned, &s, e, beta, y, row);
	}
	clef__scratch_free(s.m);
	clef__scratch_free(s.v);
	clef__scratch_free(s.u);
	return status;
}

static clef_status forward(const clef__node *n, const clef__conv *g, const clef_tensor *x, const clef_tensor *w,
			   const clef__conv_epilogue *e, float beta, const clef_tensor *y)
{
	return run(n, g, x, w, false, e, beta, y);
}

static clef_status backward_data(const clef__node *n, const clef__conv *g, const clef_tensor *y, const clef_tensor *w,
				 const clef__conv_epilogue *e, float beta, const clef_tensor *x)
{
	const clef__conv t = clef__winograd_forward(g, CLEF__CONV_BACKWARD_DATA);

	return run(n, &t, y, w, true, e, beta, x);
}

const clef__conv_impl clef__conv_winograd_gpu = { "winograd_gpu", fits, pays,   forward,   backward_data,
						  NULL,           2e-4, params, candidate, true };
