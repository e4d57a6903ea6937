"""Features of images together with where they were taken."""

from invtransfer.encoders.encoding import describe_features, encode, open_encoder


def encode_and_describe(encoder, X, batch_size=None, **where):
    opened = open_encoder(encoder, **where)
    return encode(opened, X, batch_size), describe_features(opened)
