"""The arrays that code keeps, where it keeps them, and which is the gradient of which."""
