/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operations make of their weights before they use them, kept from one recording without gradients to the next:
 * with one image, weights in another order cost as much as what is computed with them. In training they are new each
 * time.
 */
#include "arena.h"

/* It is beside the leaf's values, not one of them. */
static clef_tensor *owner(const clef_tensor *leaf)
{
	return (clef_tensor *)(uintptr_t)leaf;
}

/* The structure stays, so that a loop that trains and evaluates in turn allocates nothing. */
static void forget(clef_tensor *leaf)
{
	if (!leaf->kept)
		return;
	clef__buffer_release(leaf->kept->buffer);
	leaf->kept->buffer = NULL;
}

static clef_tensor *make(clef_tensor *leaf, clef_shape shape)
{
	clef_tensor *kept = leaf->kept;

	if (!kept)
		kept = leaf->kept = clef__tensor_view(leaf->dev, CLEF_FLOAT32, shape, NULL, 0);
	if (!kept)
		return NULL;
	kept->shape = shape;
	kept->numel = clef_shape_numel(shape);
	kept->buffer = clef__buffer_new(leaf->dev, (size_t)kept->numel * sizeof(float));
	return kept->buffer ? kept : NULL;
}

bool clef__keeps(const clef__node *n, const clef_tensor *leaf)
{
	bool own = leaf && !leaf->tape;

	if (own && !n->tape->no_grad)
		forget(owner(leaf));
	return own && n->tape->no_grad;
}

clef_tensor *clef__keep(const clef__node *n, const clef_tensor *leaf, uint64_t key, clef_shape shape, bool *made)
{
	uint64_t changes = clef__device_changes(n->tape->dev);
	clef_tensor *own;

	*made = false;
	if (!clef__keeps(n, leaf))
		return clef__scratch(n, CLEF_FLOAT32, shape);
	own = owner(leaf);
	*made = own->kept && own->kept->buffer && own->kept_key == key && own->kept_changes == changes;
	if (*made)
		return own->kept;
	forget(own);
	own->kept_key = key;
	own->kept_changes = changes;
	return make(own, shape);
}

void clef__keep_end(const clef_tensor *leaf, clef_tensor *kept, bool well)
{
	if (!leaf || kept != leaf->kept)
		clef__scratch_free(kept);
	else if (!well)
		forget(owner(leaf));
}
