/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all convolutions share: the list of implementations and the choice among them, padding other than zeros, and the
 * steps forward and backward. Padding with an image's own pixels is done beforehand, into a scratch copy, so that the
 * implementations know zeros only.
 */
#include "conv_internal.h"

/* In order of preference; the last one always fits. */
static const clef__conv_impl *const impls[] = { &clef__conv_winograd,     &clef__conv_winograd_weights,
						&clef__conv_winograd_gpu, &clef__conv_cpu,
						&clef__conv_cpu_weights,  &clef__conv_gemm,
						&clef__conv_im2col,       &clef__conv_direct };

/* ---- for the implementations ---- */

clef__arg clef__conv_size(const clef__conv *g)
{
	return (clef__arg){ .kind = CLEF__ARG_INT8, .value.i8 = { g->c, g->h, g->w, g->k, g->r, g->s, g->oh, g->ow } };
}

clef__arg clef__conv_step(const clef__conv *g)
{
	return (clef__arg){ .kind = CLEF__ARG_INT8,
			    .value.i8 = { g->stride_h, g->stride_w, g->pad_top, g->pad_left, g->dilation_h,
					  g->dilation_w, g->groups } };
}

/* EACH_OF() in cl/vector.clh. */
bool clef__conv_has_rows(int rows)
{
	static const int all[] = { 0, 3, 4, 5, 6, 8, 9, 11, 12, 13 };

	for (int i = 0; i < CLEF_COUNT(all); i++)
		if (all[i] == rows)
			return true;
	return false;
}

int clef__conv_part(int all, size_t most)
{
	const int parts = most < (size_t)all ? clef__divide_up(all, (int)CLEF__MAX(most, 1)) : 1;

	return clef__divide_up(all, parts);
}

int clef__conv_span(const clef_device *dev)
{
	return clef_device_get_info(dev)->kind == CLEF_DEVICE_CPU ? 16 : 1;
}

/* ---- choice ---- */

const clef__conv_impl *clef__conv_impl_get(int i)
{
	return i < CLEF_COUNT(impls) ? impls[i] : NULL;
}

bool clef__conv_knows(const clef__conv_impl *impl, clef__conv_way way)
{
	switch (way) {
	case CLEF__CONV_FORWARD:
		return impl->forward;
	case CLEF__CONV_BACKWARD_DATA:
		return impl->backward_data;
	default:
		return impl->backward_weights;
	}
}

/* The first that pays; the last one always does. */
const clef__conv_impl *clef__conv_shipped(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	const clef__conv_impl *impl = NULL;

	for (int i = 0; i < CLEF_COUNT(impls); i++) {
		impl = impls[i];
		if (clef__conv_knows(impl, way) && impl->fits(dev, g, way) && (!impl->pays || impl->pays(dev, g, way)))
			break;
	}
	return impl;
}

/* Who names an implementation, for messages. */
static const char *asks(const clef__node *n)
{
	return clef__device_get_conv(n->x[0]->dev) ? "the problem" : "CLEF_CONV";
}

/* *impl is the one that was set for the device or that $CLEF_CONV names, or NULL. */
static clef_status find_forced(const clef__node *n, const clef__conv_impl **impl)
{
	const char *set = clef__device_get_conv(n->x[0]->dev), *name = set ? set : getenv("CLEF_CONV");
	char names[128] = "";
	size_t used = 0;

	*impl = NULL;
	if (!name || !*name)
		return CLEF_OK;
	for (int i = 0; i < CLEF_COUNT(impls); i++) {
		if (strcmp(impls[i]->name, name) == 0)
			*impl = impls[i];
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "", impls[i]->name);
	}
	if (!*impl)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "CLEF_CONV is \"%s\": there are %s", name, names);
	return CLEF_OK;
}

/* Whether the recording may come to computing this: forward it will, backward where someone asks for gradients. */
static bool is_needed(const clef__node *n, clef__conv_way way, bool transposed)
{
	if (way == (transposed ? CLEF__CONV_BACKWARD_DATA : CLEF__CONV_FORWARD))
		return true;
	return clef__tape_records_gradients(n->tape) && n->x[way == CLEF__CONV_BACKWARD_WEIGHTS]->requires_grad;
}

clef_status clef__conv_choose(const clef__node *n, clef__conv_opts *o, bool transposed)
{
	const clef_device *dev = n->x[0]->dev;
	const clef__conv_impl *forced;
	clef_status status = find_forced(n, &forced);

	for (int i = 0; i < CLEF__CONV_WAYS && !status; i++) {
		clef__conv_way way = (clef__conv_way)i;

		if (!forced || !clef__conv_knows(forced, way)) {
			o->impl[i] = clef__conv_shipped(dev, &o->g, way);
			if (clef__tuning_wanted(dev) && !clef__tape_is_dry(n->tape) && is_needed(n, way, transposed))
				status = clef__conv_tuned(n, o, way);
		} else if (forced->fits(dev, &o->g, way))
			o->impl[i] = forced;
		else
			status = clef__op_fail(n, CLEF_ERROR_UNSUPPORTED,
					       "%s asks for %s, which does not do x %s with w %s and %lld groups",
					       asks(n), forced->name, CLEF__SHAPE_TEXT(n->x[0]->shape),
					       CLEF__SHAPE_TEXT(n->x[1]->shape), (long long)o->groups);
	}
	return status;
}

/* ---- padding with the image's own pixels ---- */

static bool pads(const clef__conv_opts *o)
{
	return o->mode != CLEF_PAD_ZEROS;
}

/* The images with their border: a scratch tensor, or room for one. */
static clef_tensor *padded_scratch(const clef__node *n)
{
	const clef__conv_opts *o = n->opts;

	return clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(o->g.n, o->g.c, o->g.h, o->g.w));
}

static clef_tensor *pad(const clef__node *n, const clef_tensor *x)
{
	const clef__conv_opts *o = n->opts;
	clef_tensor *y = padded_scratch(n);
	int h = o->g.h - (int)(o->before[0] + o->after[0]), w = o->g.w - (int)(o->before[1] + o->after[1]);

	if (!y)
		return NULL;
	if (clef__launch(y->dev,
			 &(clef__launch_opts){
				 .program = "conv_pad",
				 .kernel = "conv_pad",
				 .global = { (size_t)y->numel },
				 .bytes = 8.0 * (double)y->numel,
				 .args = { CLEF__TENSOR(x), CLEF__TENSOR(y), CLEF__INT(h), CLEF__INT(w),
					   CLEF__INT(o->before[0]), CLEF__INT(o->after[0]), CLEF__INT(o->before[1]),
					   CLEF__INT(o->after[1]), CLEF__INT(o->mode), CLEF__INT(y->numel) },
			 })) {
		clef__scratch_free(y);
		return NULL;
	}
	return y;
}

static clef_status pad_backward(const clef__node *n, const clef_tensor *dy, float beta, const clef_tensor *dx)
{
	const clef__conv_opts *o = n->opts;
	int h = o->g.h - (int)(o->before[0] + o->after[0]), w = o->g.w - (int)(o->before[1] + o->after[1]);

	return clef__launch(dx->dev, &(clef__launch_opts){
					     .program = "conv_pad",
					     .kernel = "conv_pad_backward",
					     .global = { (size_t)dx->numel },
					     .long_items = true,
					     .bytes = 4.0 * (double)(dx->numel + dy->numel),
					     .args = { CLEF__TENSOR(dy), CLEF__TENSOR(dx), CLEF__INT(h), CLEF__INT(w),
						       CLEF__INT(o->before[0]), CLEF__INT(o->after[0]),
						       CLEF__INT(o->before[1]), CLEF__INT(o->after[1]),
						       CLEF__INT(o->mode), CLEF__FLOAT(beta), CLEF__INT(dx->numel) },
				     });
}

/* ---- forward and backward ---- */

clef_tensor *clef__conv_apply(const clef__op *op, clef_tensor *x, clef_tensor *w, clef_tensor *b, bool has_bias,
			      const clef__conv_opts *opts, const clef__conv_field *fields, int count)
{
	clef_tensor *inputs[] = { x, w, b };
	clef__conv_opts own = *opts;

	if (!x || !w || (has_bias && !b)) {
		clef__null_argument(op->name);
		return NULL;
	}
	for (int i = 0; i < count; i++)
		if (fields[i].value < 0)
			return clef__fail_null(CLEF_ERROR_INVALID, "%s: %s is %d: it must not be negative", op->name,
					       fields[i].name, fields[i].value);
	if (clef__activation_fuses(own.activation)) {
		own.activation = clef__activation_resolve(own.activation);
		return clef__apply(op, inputs, has_bias ? 3 : 2, &own, sizeof(own));
	}
	own.activation = (clef_activation){ CLEF_ACT_NONE };
	return clef_activate(clef__apply(op, inputs, has_bias ? 3 : 2, &own, sizeof(own)), opts->activation);
}

static clef__conv_epilogue epilogue(const clef__node *n)
{
	const clef__conv_opts *o = n->opts;

	return (clef__conv_epilogue){ n->inputs > 2 ? n->x[2] : NULL, o->activation, NULL };
}

static clef_status bias_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	bool all_but_channels[CLEF_MAX_DIMS] = { true, false, true, true };

	if (n->inputs < 3 || !dx[2].dx)
		return CLEF_OK;
	return clef__reduce_sum(dy, all_but_channels, 1, dx[2].beta, dx[2].dx);
}

/* What an implementation gets: with the parameters that were chosen. */
static clef__conv geometry(const clef__conv_opts *o, clef__conv_way way)
{
	clef__conv g = o->g;

	memcpy(g.param, o->param[way], sizeof(g.param));
	return g;
}

clef_status clef__conv_forward(const clef__node *n)
{
	const clef__conv_opts *o = n->opts;
	const clef__conv g = geometry(o, CLEF__CONV_FORWARD);
	const clef__conv_epilogue e = epilogue(n);
	clef_tensor *padded = pads(o) ? pad(n, n->x[0]) : NULL;
	clef_status status;

	if (pads(o) && !padded)
		return clef_error_status();
	status = o->impl[CLEF__CONV_FORWARD]->forward(n, &g, padded ? padded : n->x[0], n->x[1], &e, 0, n->y);
	clef__scratch_free(padded);
	return status;
}

static clef_status images_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef__conv_opts *o = n->opts;
	const clef__conv_impl *impl = o->impl[CLEF__CONV_BACKWARD_DATA];
	const clef__conv g = geometry(o, CLEF__CONV_BACKWARD_DATA);
	const clef__conv_epilogue gated = { .gate = dx->gate };
	bool heeded = dx->gate && impl->gates && !pads(o);
	clef_tensor *padded = pads(o) ? padded_scratch(n) : NULL;
	clef_status status;

	if (pads(o) && !padded)
		return clef_error_status();
	status = impl->backward_data(n, &g, dy, n->x[1], heeded ? &gated : NULL, padded ? 0 : dx->beta,
				     padded ? padded : dx->dx);
	if (!status && padded)
		status = pad_backward(n, padded, dx->beta, dx->dx);
	clef__scratch_free(padded);
	return status || heeded || !dx->gate ? status : clef__gate(dx->gate, dx->dx);
}

static clef_status weights_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef__conv_opts *o = n->opts;
	const clef__conv g = geometry(o, CLEF__CONV_BACKWARD_WEIGHTS);
	clef_tensor *padded = pads(o) ? pad(n, n->x[0]) : NULL;
	clef_status status;

	if (pads(o) && !padded)
		return clef_error_status();
	status = o->impl[CLEF__CONV_BACKWARD_WEIGHTS]->backward_weights(n, &g, padded ? padded : n->x[0], dy, dx->beta,
									dx->dx);
	clef__scratch_free(padded);
	return status;
}

clef_status clef__conv_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef__conv_opts *o = n->opts;
	const clef_tensor *dz;
	clef_tensor *scratch;
	clef_status status = clef__activation_backward(n, o->activation, dy, &dz, &scratch);
	const bool over_images = dx[0].dx && dx[0].dx->buffer == n->x[0]->buffer;

	if (!status && dx[0].dx && !over_images)
		status = images_backward(n, dz, &dx[0]);
	if (!status && dx[1].dx)
		status = weights_backward(n, dz, &dx[1]);
	if (!status)
		status = bias_backward(n, dz, dx);
	if (!status && over_images)
		status = images_backward(n, dz, &dx[0]);
	clef__scratch_free(scratch);
	return status;
}

bool clef__conv_over_gate(const clef__node *n)
{
	const clef__conv_opts *o = n->opts;

	return o->impl[CLEF__CONV_BACKWARD_DATA]->gates && !pads(o);
}

bool clef__conv_needs(const clef__node *n, int i)
{
	return i >= 0 || ((const clef__conv_opts *)n->opts)->activation.kind != CLEF_ACT_NONE;
}

bool clef__conv_is_relu(const clef__node *n)
{
	return ((const clef__conv_opts *)n->opts)->activation.kind == CLEF_ACT_RELU;
}

/* ---- transposed: what was the gradient is the result, and the other way round ---- */

clef_status clef__conv_transpose_forward(const clef__node *n)
{
	const clef__conv_opts *o = n->opts;
	const clef__conv g = geometry(o, CLEF__CONV_BACKWARD_DATA);
	const clef__conv_epilogue e = epilogue(n);

	return o->impl[CLEF__CONV_BACKWARD_DATA]->backward_data(n, &g, n->x[0], n->x[1], &e, 0, n->y);
}

clef_status clef__conv_transpose_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef__conv_opts *o = n->opts;
	const clef__conv images = geometry(o, CLEF__CONV_FORWARD), weights = geometry(o, CLEF__CONV_BACKWARD_WEIGHTS);
	const clef_tensor *dz;
	clef_tensor *scratch;
	clef_status status = clef__activation_backward(n, o->activation, dy, &dz, &scratch);

	if (!status && dx[0].dx)
		status = o->impl[CLEF__CONV_FORWARD]->forward(n, &images, dz, n->x[1], NULL, dx[0].beta, dx[0].dx);
	if (!status && dx[1].dx)
		status = o->impl[CLEF__CONV_BACKWARD_WEIGHTS]->backward_weights(n, &weights, dz, n->x[0], dx[1].beta,
										dx[1].dx);
	if (!status)
		status = bias_backward(n, dz, dx);
	clef__scratch_free(scratch);
	return status;
}
