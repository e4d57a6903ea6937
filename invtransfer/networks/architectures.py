"""Backbones for small images: networks from images to features, with new weights."""

import math
from collections import OrderedDict

import torch
from torch import nn


class ResidualBlock(nn.Module):
    """Add the output of convolutions to a shortcut (He et al., 2016, Figure 5).

    Parameters
    ----------
    residual : torch.nn.Module
        Convolutions from `n_in` to `n_out` channels, which subsample by `stride`.
    n_in, n_out : int
        Numbers of input and output channels.
    stride : int
        Stride of the shortcut.
    """

    def __init__(self, residual, n_in, n_out, stride):
        super().__init__()
        self.residual = residual
        self.stride = stride
        self.shortcut = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x):
        """Return features of shape (n_samples, n_out, height / stride, width / stride)."""
        # Subsampled before the 1 x 1 convolution, not by its stride: the values are the same, but on CPUs the gradient
        # of a strided one with few channels writes out of bounds (oneDNN issue 6035: wrong values or a crash, as of
        # torch 2.15).
        subsampled = x[:, :, :: self.stride, :: self.stride]
        return torch.relu(self.residual(x) + self.shortcut(subsampled))


def _convolution(n_in, n_out, side, stride=1):
    """Return a convolution with a kernel of `side` x `side` pixels, batch norm and ReLU."""
    convolution = nn.Conv2d(n_in, n_out, side, stride, padding=side // 2, bias=False)
    return [convolution, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]


def _basic_block(n_in, size, stride):
    """Build a block of two 3 x 3 convolutions, with `size` output channels."""
    layers = _convolution(n_in, size, 3, stride) + _convolution(size, size, 3)
    return ResidualBlock(nn.Sequential(*layers[:-1]), n_in, size, stride)


def _bottleneck(n_in, size, stride):
    """Build a block of a 3 x 3 convolution between two of 1 x 1, with 4 * `size` output channels."""
    layers = _convolution(n_in, size, 1) + _convolution(size, size, 3, stride) + _convolution(size, 4 * size, 1)
    return ResidualBlock(nn.Sequential(*layers[:-1]), n_in, 4 * size, stride)


def _resnet(block, depths, expansion, n_channels, width):
    sizes = [_scaled(n, width) for n in (64, 128, 256, 512)]
    parts = OrderedDict(stem=nn.Sequential(*_convolution(n_channels, sizes[0], 3)))
    n_in = sizes[0]
    for number, (size, depth) in enumerate(zip(sizes, depths, strict=True), start=1):
        n_out, stride = expansion * size, 1 if number == 1 else 2
        blocks = [block(n_in, size, stride), *(block(n_out, size, 1) for _ in range(depth - 1))]
        parts[f"stage{number}"] = nn.Sequential(*blocks)
        n_in = n_out
    return _pooled(parts), n_in


def _scaled(n, width):
    return max(1, round(n * width))


def _pooled(parts):
    return nn.Sequential(parts | {"pool": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())})


def _check_halvings(name, image_shape, n_halvings):
    height, width, _ = image_shape
    if min(height, width) < 2**n_halvings:
        raise ValueError(
            f"network {name!r} cannot take images of {height} x {width} pixels: it halves them {n_halvings} times, so"
            f" each side must have at least {2**n_halvings}"
        )


def resnet18(image_shape=(32, 32, 3), width=1.0):
    """Build the backbone of a ResNet-18 for small images: 3 x 3 stem of stride 1, no max-pooling.

    Parameters
    ----------
    image_shape : tuple of int
        Shape (height, width, n_channels) of the images; any height and width are possible.
    width : float
        Multiple of 64, 128, 256 and 512 channels in the four stages.

    Returns
    -------
    backbone : torch.nn.Sequential
        Network from images (n_samples, n_channels, height, width) to features (n_samples, n_features), with the layers
        `stem`, `stage1` to `stage4` and `pool`.
    n_features : int
        512 * width.

    References
    ----------
    He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016; Speicher et al. 2024, Appendix B.1.

    Examples
    --------
    >>> import torch
    >>> backbone, n_features = resnet18(width=0.125)
    >>> backbone(torch.zeros(2, 3, 32, 32)).shape, n_features
    (torch.Size([2, 64]), 64)
    """
    return _resnet(_basic_block, (2, 2, 2, 2), 1, image_shape[2], width)


def resnet50(image_shape=(32, 32, 3), width=1.0):
    """Build the backbone of a ResNet-50 for small images: 3 x 3 stem of stride 1, no max-pooling.

    Parameters
    ----------
    image_shape, width
        As for `resnet18`; the channels are those inside the bottlenecks, which output four times as many.

    Returns
    -------
    backbone, n_features
        As for `resnet18`, with 2048 * width features.

    Notes
    -----
    In a bottleneck, the 3 x 3 convolution has the stride, as in torchvision, and not the 1 x 1 convolution before it.

    References
    ----------
    He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016; Speicher et al. 2024, Appendix B.1.

    Examples
    --------
    >>> import torch
    >>> backbone, n_features = resnet50(width=0.0625)
    >>> backbone(torch.zeros(2, 3, 32, 32)).shape, n_features
    (torch.Size([2, 128]), 128)
    """
    return _resnet(_bottleneck, (3, 4, 6, 3), 4, image_shape[2], width)


class DenseLayer(nn.Module):
    """Append to the input what batch norm, ReLU and convolution (1 x 1, then 3 x 3) compute from it.

    Parameters
    ----------
    n_in : int
        Number of input channels.
    growth : int
        Number of channels that are appended.
    """

    def __init__(self, n_in, growth):
        super().__init__()
        self.added = nn.Sequential(
            nn.BatchNorm2d(n_in),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_in, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x):
        """Return features of shape (n_samples, n_in + growth, height, width)."""
        return torch.cat([x, self.added(x)], dim=1)


def densenet121(image_shape=(32, 32, 3), width=1.0):
    """Build the backbone of a DenseNet-121 for small images: growth rate 12, 3 x 3 stem of stride 1, no max-pooling.

    Parameters
    ----------
    image_shape : tuple of int
        Shape (height, width, n_channels) of the images, at least 8 pixels high and wide.
    width : float
        Multiple of 12 channels that each layer appends.

    Returns
    -------
    backbone : torch.nn.Sequential
        Network from images (n_samples, n_channels, height, width) to features (n_samples, n_features), with the layers
        `stem`, `block1`, `transition1` to `block4`, `norm` and `pool`.
    n_features : int
        384 * width.

    Raises
    ------
    ValueError
        If the images are too small.

    References
    ----------
    Huang, Liu, van der Maaten, Weinberger, "Densely Connected Convolutional Networks", CVPR 2017; Speicher et al. 2024,
    Appendix B.1.

    Examples
    --------
    >>> import torch
    >>> backbone, n_features = densenet121(width=0.25)
    >>> backbone(torch.zeros(2, 3, 32, 32)).shape, n_features
    (torch.Size([2, 96]), 96)
    """
    _check_halvings("densenet121", image_shape, 3)
    growth = _scaled(12, width)
    n_in = 2 * growth
    parts = OrderedDict(stem=nn.Conv2d(image_shape[2], n_in, 3, padding=1, bias=False))
    for number, depth in enumerate((6, 12, 24, 16), start=1):
        layers = [DenseLayer(n_in + i * growth, growth) for i in range(depth)]
        parts[f"block{number}"] = nn.Sequential(*layers)
        n_in += depth * growth
        if number < 4:
            parts[f"transition{number}"] = nn.Sequential(
                nn.BatchNorm2d(n_in), nn.ReLU(inplace=True), nn.Conv2d(n_in, n_in // 2, 1, bias=False), nn.AvgPool2d(2)
            )
            n_in //= 2
    parts["norm"] = nn.Sequential(nn.BatchNorm2d(n_in), nn.ReLU(inplace=True))
    return _pooled(parts), n_in


def vgg11(image_shape=(32, 32, 3), width=1.0):
    """Build the backbone of a VGG-11 for small images: with batch norm, and without hidden linear layers.

    Parameters
    ----------
    image_shape : tuple of int
        Shape (height, width, n_channels) of the images, at least 32 pixels high and wide.
    width : float
        Multiple of 64, 128, 256, 512 and 512 channels in the five stages.

    Returns
    -------
    backbone : torch.nn.Sequential
        Network from images (n_samples, n_channels, height, width) to features (n_samples, n_features), with the layers
        `stage1` to `stage5` and `pool`.
    n_features : int
        512 * width.

    Raises
    ------
    ValueError
        If the images are too small.

    References
    ----------
    Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015; Speicher et
    al. 2024, Appendix B.1.

    Examples
    --------
    >>> import torch
    >>> backbone, n_features = vgg11(width=0.125)
    >>> backbone(torch.zeros(2, 3, 32, 32)).shape, n_features
    (torch.Size([2, 64]), 64)
    """
    _check_halvings("vgg11", image_shape, 5)
    parts = OrderedDict()
    n_in = image_shape[2]
    for number, stage in enumerate(((64,), (128,), (256, 256), (512, 512), (512, 512)), start=1):
        layers = []
        for n in stage:
            n_out = _scaled(n, width)
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
            n_in = n_out
        parts[f"stage{number}"] = nn.Sequential(*layers, nn.MaxPool2d(2))
    return _pooled(parts), n_in


class SelfAttention(nn.Module):
    """Compute multi-head self-attention (Vaswani et al., 2017, Section 3.2.2).

    Parameters
    ----------
    n_features : int
        Number of features of a token.
    n_heads : int
        Number of heads, which share the features equally.
    """

    def __init__(self, n_features, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.query_key_value = nn.Linear(n_features, 3 * n_features)
        self.output = nn.Linear(n_features, n_features)

    def forward(self, tokens):
        """Return tokens of the shape of `tokens`, (n_samples, n_tokens, n_features)."""
        n_samples, n_tokens, n_features = tokens.shape
        parts = self.query_key_value(tokens).view(n_samples, n_tokens, 3, self.n_heads, n_features // self.n_heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (n_samples, n_heads, n_tokens, features per head)
        gathered = self.attend(query, key, value)
        return self.output(gathered.transpose(1, 2).reshape(tokens.shape))

    @staticmethod
    def attend(query, key, value):
        """Return for each query the values of all tokens, weighted by the softmax of its products with their keys.

        On a CPU, torch's fused kernel would take half of a training step, in bfloat16 even more.
        """
        if query.device.type != "cpu":
            return nn.functional.scaled_dot_product_attention(query, key, value)
        return (query @ key.mT / math.sqrt(query.shape[-1])).softmax(dim=-1) @ value


class TransformerLayer(nn.Module):
    """Add self-attention and then a perceptron to the tokens, each computed from normalised tokens.

    Parameters
    ----------
    n_features : int
        Number of features of a token, and of the hidden layer of the perceptron.
    n_heads : int
        Number of heads of the self-attention.
    """

    def __init__(self, n_features, n_heads):
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(n_features), SelfAttention(n_features, n_heads))
        self.perceptron = nn.Sequential(
            nn.LayerNorm(n_features),
            nn.Linear(n_features, n_features),
            nn.GELU(),
            nn.Linear(n_features, n_features),
        )

    def forward(self, tokens):
        """Return tokens of the shape of `tokens`, (n_samples, n_tokens, n_features)."""
        tokens = tokens + self.attention(tokens)
        return tokens + self.perceptron(tokens)


class VisionTransformer(nn.Module):
    """Compute features with a transformer on an 8 x 8 grid of patches and a class token.

    Parameters
    ----------
    image_shape : tuple of int
        Shape (height, width, n_channels) of the images; height and width are multiples of 8 pixels.
    n_features : int
        Number of features of a token.
    n_heads, n_layers : int
        Numbers of heads and layers of the transformer.
    """

    def __init__(self, image_shape, n_features, n_heads, n_layers):
        super().__init__()
        height, width, n_channels = image_shape
        patch = (height // 8, width // 8)
        self.class_token = nn.Parameter(torch.zeros(1, 1, n_features))
        self.positions = nn.Parameter(torch.zeros(1, 1 + 8 * 8, n_features))
        self.patches = nn.Conv2d(n_channels, n_features, patch, stride=patch)
        self.layers = nn.Sequential(*(TransformerLayer(n_features, n_heads) for _ in range(n_layers)))
        self.norm = nn.LayerNorm(n_features)

    def forward(self, images):
        """Return the class token after the last layer, of shape (n_samples, n_features)."""
        patches = self.patches(images).flatten(2).transpose(1, 2)  # (n_samples, 64, n_features)
        tokens = torch.cat([self.class_token.expand(len(images), -1, -1), patches], dim=1) + self.positions
        return self.norm(self.layers(tokens)[:, 0])


def vit(image_shape=(32, 32, 3), width=1.0):
    """Build the backbone of a vision transformer for small images: 8 x 8 patches, 7 layers, no dropout.

    Parameters
    ----------
    image_shape : tuple of int
        Shape (height, width, n_channels) of the images; height and width are multiples of 8 pixels. In images of
        32 x 32 pixels, a patch has 4 x 4.
    width : float
        Multiple of 8 heads of 48 features each.

    Returns
    -------
    backbone : VisionTransformer
        Network from images (n_samples, n_channels, height, width) to features (n_samples, n_features), with the layers
        `patches`, `layers.0` to `layers.6` and `norm`.
    n_features : int
        48 times the number of heads. It is also the size of the hidden layer of the perceptrons.

    Raises
    ------
    ValueError
        If the images cannot be cut into 8 x 8 patches.

    References
    ----------
    Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; Speicher et al. 2024, Appendix B.1.

    Examples
    --------
    >>> import torch
    >>> backbone, n_features = vit(width=0.125)
    >>> backbone(torch.zeros(2, 3, 32, 32)).shape, n_features
    (torch.Size([2, 48]), 48)
    """
    if image_shape[0] % 8 or image_shape[1] % 8:
        raise ValueError(
            f"network 'vit' cannot take images of {image_shape[0]} x {image_shape[1]} pixels: it cuts them into a grid"
            " of 8 x 8 patches, so each side must be a multiple of 8"
        )
    n_heads = _scaled(8, width)
    return VisionTransformer(image_shape, 48 * n_heads, n_heads, n_layers=7), 48 * n_heads


NETWORKS = {"resnet18": resnet18, "resnet50": resnet50, "densenet121": densenet121, "vgg11": vgg11, "vit": vit}


def initialise(network, generator):
    """Draw new weights for all layers, from torch's default distributions.

    Parameters
    ----------
    network : torch.nn.Module
        Network made of the layers used in this module. It is changed in place.
    generator : torch.Generator
        Generator of the weights.

    Raises
    ------
    TypeError
        If a layer is of a type that the networks of this module do not use.

    Notes
    -----
    The weights of linear layers and convolutions are uniform in +-1 / sqrt(fan_in), which is He's distribution with
    a = sqrt(5). Batch and layer norm have weight 1 and bias 0. The class token and the positions of a transformer, for
    which torch has no default, are normal with standard deviation 0.02, as is usual since BERT.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            bound = 1 / math.sqrt(module.weight[0].numel())
            with torch.no_grad():
                module.weight.uniform_(-bound, bound, generator=generator)
                if module.bias is not None:
                    module.bias.uniform_(-bound, bound, generator=generator)
        elif isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            module.reset_parameters()
        elif isinstance(module, VisionTransformer):
            with torch.no_grad():
                module.class_token.normal_(0.0, 0.02, generator=generator)
                module.positions.normal_(0.0, 0.02, generator=generator)
        elif next(module.parameters(recurse=False), None) is not None:
            raise TypeError(f"cannot initialise a layer of type {type(module).__name__}")
