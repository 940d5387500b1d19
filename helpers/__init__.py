"""The small module that the chapters share.

A helper appears in a chapter only after the reader has seen its code once; each public
name says which chapter teaches it. The rooms: ``data`` (images on disk, in memory and
in batches), ``training`` (one train / evaluate pair and what stands around it),
``plotting`` (one visual language), ``diagrams`` (networks drawn from the real module),
``player`` (figures that move), ``notebook`` (numbers that the prose quotes, errors that
are meant), ``networks`` (gathered from the chapters that build them) and
``networks_table`` (what they cost and reach).
"""
