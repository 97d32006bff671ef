# SPDX-License-Identifier: Apache-2.0
"""
The networks of tools/versus_torch: as texts for clef_model_parse(), and what PyTorch makes of the same.
"""

import re


class Model:
	def __init__(self, text, sample, batch, optimizer):
		self.text = text
		self.sample = sample  # channels, size
		self.batch = batch
		self.optimizer = optimizer  # as clef_optim_parse() reads it


MNIST = (1, 28)
CIFAR = (3, 32)
# Small rates, so that rounding does not grow and the losses of both sides stay comparable over many steps.
ADAM = "adam(lr=1e-5)"
NESTEROV = "sgd(lr=1e-4, momentum=0.9, nesterov)"
MOMENTUM = "sgd(lr=1e-4, momentum=0.9)"


def convnet(first, second):
	return f"conv2d({first}, 5, pad=2) relu conv2d({second}, 3, pad=1) relu flatten linear(10)"


def vgg(*stages):
	unit = "conv2d({0}, 3, pad=1) batch_norm relu "
	return "max_pool2d(2) ".join(2 * unit.format(width) for width in stages) + "max_pool2d(2) flatten linear(10)"


MODELS = {
	"mlp-256x2": Model("flatten linear(256) relu linear(256) relu linear(10)", MNIST, 100, ADAM),
	"mlp-512x4": Model("flatten " + 4 * "linear(512) relu " + "linear(10)", MNIST, 100, ADAM),
	"wide-4000-sgd": Model("flatten linear(4000) relu linear(10)", CIFAR, 64, NESTEROV),
	"wide-4000-adam": Model("flatten linear(4000) relu linear(10)", CIFAR, 64, ADAM),
	"convnet-32-16": Model(convnet(32, 16), CIFAR, 64, NESTEROV),
	"convnet-128-64": Model(convnet(128, 64), CIFAR, 64, ADAM),
	"vgg": Model(vgg(64, 128, 256), CIFAR, 64, MOMENTUM),
	"resnet18": Model("resnet18", CIFAR, 64, MOMENTUM),
}


def words(text):
	"""'conv2d(64, 3, pad=1) relu' -> [('conv2d', [64.0, 3.0], {'pad': 1.0}), ('relu', [], {})]"""
	for name, inside in re.findall(r"(\w+)(?:\(([^)]*)\))?", text):
		values, named = [], {}
		for part in filter(None, (part.strip() for part in inside.split(","))):
			key, equals, value = part.rpartition("=")
			if equals:
				named[key] = float(value)
			elif re.fullmatch(r"[a-z_]+", part):
				named[part] = True
			else:
				values.append(float(part))
		yield name, values, named


def resnet18(nn, channels):
	"""torchvision's, with a stem of 3x3 pixels and no pooling behind it."""
	class Block(nn.Module):
		def __init__(self, inside, out, stride):
			super().__init__()
			self.conv1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False)
			self.bn1 = nn.BatchNorm2d(out)
			self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
			self.bn2 = nn.BatchNorm2d(out)
			self.relu = nn.ReLU(inplace=True)
			self.downsample = None
			if stride != 1 or inside != out:
				self.downsample = nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out))

		def forward(self, x):
			y = self.relu(self.bn1(self.conv1(x)))
			y = self.bn2(self.conv2(y))
			return self.relu(y + (x if self.downsample is None else self.downsample(x)))

	class ResNet(nn.Module):
		def __init__(self):
			super().__init__()
			self.conv1 = nn.Conv2d(channels, 64, 3, 1, 1, bias=False)
			self.bn1 = nn.BatchNorm2d(64)
			self.relu = nn.ReLU(inplace=True)
			inside = 64
			for stage, out in enumerate((64, 128, 256, 512)):
				blocks = [Block(inside, out, 2 if stage else 1), Block(out, out, 1)]
				setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
				inside = out
			self.fc = nn.Linear(512, 10)

		def forward(self, x):
			x = self.relu(self.bn1(self.conv1(x)))
			x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
			return self.fc(x.mean((2, 3)))

	return ResNet()


def torch_model(nn, text, channels, size):
	if text == "resnet18":
		return resnet18(nn, channels)
	modules = []
	features = None
	for name, values, named in words(text):
		numbers = [int(value) for value in values]
		if name == "flatten":
			modules.append(nn.Flatten())
			features = channels * size * size
		elif name == "linear":
			modules.append(nn.Linear(features, numbers[0]))
			features = numbers[0]
		elif name == "conv2d":
			pad = int(named.get("pad", 0))
			modules.append(nn.Conv2d(channels, *numbers, padding=pad))
			channels, size = numbers[0], size + 2 * pad - numbers[1] + 1
		elif name == "max_pool2d":
			modules.append(nn.MaxPool2d(numbers[0]))
			size //= numbers[0]
		elif name == "batch_norm":
			modules.append(nn.BatchNorm2d(channels))
		elif name == "relu":
			modules.append(nn.ReLU(inplace=True))
		else:
			raise ValueError(f"no PyTorch module for {name}")
	return nn.Sequential(*modules)


def torch_optimizer(torch, text, parameters, **how):
	name, _, options = next(words(text))
	kinds = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
	return kinds[name](parameters, **options, **how)
