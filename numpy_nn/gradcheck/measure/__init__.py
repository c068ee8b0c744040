"""What measures a gradient and judges it, without a thought of why it is wrong."""
